import { defineConfig } from "vite";

export default defineConfig({
  base: "./", // relative paths: the page works in any folder of any web server
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  worker: { format: "es" },
  // Without this condition the library would bundle its own copy of what is fetched by address.
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser"] },
});
