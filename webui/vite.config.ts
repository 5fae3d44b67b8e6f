import { fileURLToPath } from "node:url";
import vue from "@vitejs/plugin-vue";
import ElementPlus from "unplugin-element-plus/vite";
import { defineConfig } from "vitest/config";
import { preloads } from "./preloads.ts";

// In development the pages come from Vite and the API from a running box.
const box = process.env.TAPDECK_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  // Vue does not know the HTML element <search> yet.
  plugins: [
    vue({ template: { compilerOptions: { isCustomElement: (tag) => tag === "search" } } }),
    ElementPlus({}),
    preloads(),
  ],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  define: {
    __VUE_I18N_FULL_INSTALL__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
  },
  server: { proxy: { "/api": { target: box, changeOrigin: true } } },
  // Nothing is inlined as data: so that a strict Content-Security-Policy needs no exception for it.
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      output: {
        // A few files for what everybody loads first; every page that comes later has its own.
        codeSplitting: {
          groups: [
            { name: "base", tags: ["$initial"], priority: 3 },
            { name: "login", test: /pages\/LoginPage\.vue/, priority: 2 },
            { name: "desk", test: /(frame\/AppShell|pages\/DeskPage)\.vue/, priority: 1 },
          ],
        },
      },
    },
  },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
