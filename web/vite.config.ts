import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const server = process.env.VISAGE_URL ?? "http://127.0.0.1:8000";

/** Writes sw.js with the list of what it may keep: the shell of the page, and nothing else. */
function serviceWorker(): Plugin {
  return {
    name: "visage-service-worker",
    apply: "build",
    generateBundle(_, bundle) {
      const source = readFileSync(new URL("src/service-worker.js", import.meta.url), "utf8");
      const icons = readdirSync(new URL("public/icons", import.meta.url)).map((file) => `/icons/${file}`);
      const built = Object.keys(bundle).filter((file) => !file.endsWith(".html"));
      const shell = ["/", ...built.map((file) => `/${file}`), ...icons, "/manifest.webmanifest"].sort();
      const version = createHash("sha256").update(shell.join()).update(source).digest("hex").slice(0, 12);
      this.emitFile({
        type: "asset",
        fileName: "sw.js",
        source: source.replace('"__SHELL__"', JSON.stringify(shell)).replace("__VERSION__", version),
      });
    },
  };
}

export default defineConfig({
  plugins: [react(), tailwindcss(), serviceWorker()],
  resolve: { alias: { "@": fileURLToPath(new URL("src", import.meta.url)) } },
  build: {
    outDir: "../src/visage/api/page",
    emptyOutDir: true,
    assetsInlineLimit: 0, // the policy of the page allows no data: fonts or scripts
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/api": server, "/ws": { target: server, ws: true } } },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
