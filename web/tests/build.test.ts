import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";

/** What `npm run build` made. */
const page = new URL("../../src/visage/api/page/", import.meta.url);
const read = (file: string) => readFileSync(new URL(file, page), "utf8");
const assets = readdirSync(new URL("assets/", page));

/** The scripts that a first load needs: those of the document, and what they import at once. */
function firstScripts(): Set<string> {
  const found = new Set<string>();
  const waiting = [...read("index.html").matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g)].map((match) => match[1]);
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (found.has(file)) continue;
    found.add(file);
    for (const [, name] of read(file).matchAll(/(?:^|[;\n}])import(?:[^"'()]*?from)?\s*["']\.\/([^"']+\.js)["']/g))
      waiting.push(`assets/${name}`);
  }
  return found;
}

test("the scripts of the first load have at most 200 kB compressed", () => {
  const scripts = firstScripts();
  expect(scripts.size).toBeGreaterThan(0);
  const bytes = [...scripts].reduce((sum, file) => sum + gzipSync(read(file)).length, 0);
  expect(bytes).toBeGreaterThan(10_000);
  expect(bytes).toBeLessThanOrEqual(200_000);
});

test("the document holds no script or style of its own, which the policy would refuse", () => {
  const html = read("index.html");
  expect(html).not.toMatch(/<style|style=|<script(?![^>]*\ssrc=)|\son\w+=/);
});

test("nothing in it is fetched from elsewhere", () => {
  const fetched = /(?:src|href)="(?:https?:)?\/\/|url\(["']?(?:https?:)?\/\/|import\(["'`]https?:|@import/;
  for (const file of [
    "index.html",
    "sw.js",
    ...assets.filter((name) => /\.(js|css)$/.test(name)).map((name) => `assets/${name}`),
  ])
    expect(read(file), file).not.toMatch(fetched);
});

test("the service worker keeps files of the page and nothing of the API", () => {
  const shell = JSON.parse(/const SHELL = (\[.*?\]);/s.exec(read("sw.js"))?.[1] ?? "[]") as string[];
  expect(shell).toContain("/");
  expect(shell.filter((path) => !/^\/(assets\/[\w.-]+|icons\/[\w.-]+|manifest\.webmanifest)?$/.test(path))).toEqual(
    [],
  );
});
