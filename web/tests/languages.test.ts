import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import english from "@/languages/en.json";
import { pickLanguage, translate } from "@/lib/i18n";

const folder = new URL("../src/languages/", import.meta.url);
const languages = readdirSync(folder).map((file) => ({
  code: file.replace(".json", ""),
  texts: JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Record<string, string>,
}));

const stem = (key: string) => key.replace(/\.(zero|one|two|few|many|other)$/, "");
const stems = (texts: object) => [...new Set(Object.keys(texts).map(stem))].sort();
const holes = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();

describe.each(languages)("$code", ({ code, texts }) => {
  test("has every text, and no other", () => {
    expect(stems(texts)).toEqual(stems(english));
  });

  test("leaves no text empty", () => {
    expect(Object.entries(texts).filter(([, text]) => text.trim() === "")).toEqual([]);
  });

  test("has every form that its plurals need", () => {
    const forms = new Intl.PluralRules(code).resolvedOptions().pluralCategories;
    const counted = stems(english).filter((key) => `${key}.other` in english);
    const missing = counted.flatMap((key) => forms.map((form) => `${key}.${form}`)).filter((key) => !(key in texts));
    expect(missing).toEqual([]);
  });

  test("fills in the same values", () => {
    const texts_ = Object.entries(english as Record<string, string>);
    for (const [key, text] of texts_) {
      const own = texts[key];
      if (own !== undefined && !/\.one$/.test(key)) expect(holes(own), key).toEqual(holes(text));
    }
  });

  test("keeps its texts in order, so that two people who add some do not collide at the end", () => {
    expect(Object.keys(texts)).toEqual(Object.keys(texts).sort());
  });
});

test("English and German are complete", () => {
  expect(languages.map(({ code }) => code)).toEqual(expect.arrayContaining(["en", "de"]));
});

test.each([
  [null, ["de-AT", "en"], "de"],
  [null, ["fr", "xx"], "en"],
  ["en", ["de"], "en"],
  ["gone", ["de"], "de"],
])("of %s and the browser's %s it speaks %s", (chosen, wanted, code) => {
  expect(pickLanguage(chosen, wanted, ["de", "en"])).toBe(code);
});

test("a language that lacks a text uses the English one, and fills in values", () => {
  expect(translate({}, "de", "state.loading")).toBe(english["state.loading"]);
  expect(translate({ a: "{name} and {other}" }, "en", "a", { name: "{other}" })).toBe("{other} and {other}");
  expect(translate({ "n.one": "one", "n.other": "{count}" }, "de", "n", { count: 1 })).toBe("one");
  expect(translate({ "n.one": "one", "n.other": "{count}" }, "de", "n", { count: 1234 })).toBe("1.234");
});
