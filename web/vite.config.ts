import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Ships what is large compressed, and names all files, in their version, to the service worker. */
const packed = (): Plugin => ({
  name: "packed",
  transformIndexHtml: (html) => {
    const own = /<script>(.*?)<\/script>/s.exec(html)?.[1] ?? "";
    const hash = createHash("sha256").update(own).digest("base64");
    // By file:// nothing loads that is to be compared with an origin.
    return html.replace("FILEHASH", hash).replaceAll(/(rel="stylesheet"|type="module") crossorigin/g, "$1");
  },
  closeBundle: () => {
    const dist = join(import.meta.dirname, "dist");
    const version = createHash("sha256");
    const bytes: Record<string, number> = {};
    for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((each) => /\.(onnx|bin|wasm)$/.test(each))) {
      const small = gzipSync(readFileSync(join(dist, name)), { level: 9 });
      bytes[/(wasm|\w+\.(onnx|bin))$/.exec(name)?.[1] ?? name] = small.length;
      writeFileSync(join(dist, `${name}.gz`), small);
      rmSync(join(dist, name));
    }
    const manifest = join(dist, "assets", "manifest.json");
    writeFileSync(manifest, JSON.stringify({ ...JSON.parse(readFileSync(manifest, "utf8")), bytes }));
    const files = readdirSync(dist, { recursive: true, withFileTypes: true })
      .filter((each) => each.isFile() && each.name !== "sw.js")
      .map((each) => join(each.parentPath, each.name))
      .sort();
    for (const file of files) version.update(readFileSync(file));
    const names = files.map((file) => file.slice(dist.length + 1)).map((name) => (name === "index.html" ? "./" : name));
    const worker = readFileSync(join(dist, "sw.js"), "utf8");
    const known = `const VERSION = "${version.digest("hex").slice(0, 12)}";\nconst FILES = ${JSON.stringify(names)};\n`;
    writeFileSync(join(dist, "sw.js"), known + worker);
  },
});

export default defineConfig({
  base: "./", // relative paths: the page works in any folder of any web server
  plugins: [packed()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  worker: {
    format: "es",
    // Some web servers do not know .mjs, and send it as something that browsers do not run.
    rollupOptions: { output: { assetFileNames: ({ names }) => `assets/[name]-[hash]${names[0]?.endsWith(".mjs") ? ".js" : "[extname]"}` } },
  },
  // Without this condition the library would bundle its own copy of what is fetched by address.
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser"] },
});
