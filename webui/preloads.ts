/** What everybody is going to need is asked for at once, not only when the base of the page has been read. */

import { createHash } from "node:crypto";
import type { Plugin, Rolldown } from "vite";

type Chunk = Rolldown.OutputChunk;

/** The parts by what the browser remembers: the language, and whether somebody was logged in here last. */
const PARTS = {
  zh: "/locales/chinese.ts",
  en: "/locales/english.ts",
  inside: "/frame/AppShell.vue",
  outside: "/pages/LoginPage.vue",
};

/** As `i18n.ts` and `App.vue` read it. A browser that keeps nothing for the page gets it a little later. */
const SCRIPT = `{
  const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const language = (kept("tapdeck.locale") ?? navigator.language).toLowerCase().startsWith("zh") ? "zh" : "en";
  const place = kept("tapdeck.inside") === "true" ? "inside" : "outside";
  for (const file of new Set([...PARTS[language], ...PARTS[place]])) {
    const link = document.createElement("link");
    if (file.endsWith(".css")) Object.assign(link, { rel: "preload", as: "style" });
    else link.rel = "modulepreload";
    link.crossOrigin = "";
    link.href = file;
    document.head.append(link);
  }
}
`;

/** All files behind a part, but for those of the base. */
function filesOf(part: string, chunks: Chunk[]): string[] {
  const base = chunks.find((chunk) => chunk.isEntry);
  const found = new Set<Chunk>();
  const add = (chunk: Chunk | undefined) => {
    if (!chunk || chunk === base || base?.imports.includes(chunk.fileName) || found.has(chunk)) return;
    found.add(chunk);
    for (const name of chunk.imports) add(chunks.find((other) => other.fileName === name));
  };
  add(chunks.find((chunk) => chunk.moduleIds.some((id) => id.endsWith(part))));
  if (!found.size) throw new Error(`no file of the page holds ${part}`);
  return [...found].flatMap((chunk) => [chunk.fileName, ...(chunk.viteMetadata?.importedCss ?? [])]);
}

export function preloads(): Plugin {
  let script = "";
  return {
    name: "preloads",
    apply: "build",
    enforce: "pre",
    generateBundle(_options, bundle) {
      const chunks = Object.values(bundle).filter((file): file is Chunk => file.type === "chunk");
      const parts = Object.fromEntries(
        Object.entries(PARTS).map(([name, part]) => [name, filesOf(part, chunks).map((file) => `/${file}`)]),
      );
      const source = SCRIPT.replace("{\n", `{\n  const PARTS = ${JSON.stringify(parts)};\n`);
      script = `assets/preloads-${createHash("sha256").update(source).digest("hex").slice(0, 8)}.js`;
      this.emitFile({ type: "asset", fileName: script, source });
    },
    transformIndexHtml: {
      order: "post",
      handler: () => [{ tag: "script", attrs: { async: true, src: `/${script}` }, injectTo: "head" }],
    },
  };
}
