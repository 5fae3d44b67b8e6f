/** What the Content-Security-Policy of the box lets in fits to what the libraries write into the page. */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const policy = read("../../crm_client_api/http/app.py");

test("styles come from the box's own files, but for those of the waveform", () => {
  const source = read("../node_modules/wavesurfer.js/dist/wavesurfer.esm.js");
  const style = /<style\$\{.*?\}>(.*?)<\/style>/s.exec(source)?.[1]?.replaceAll("\\n", "\n") ?? "";
  const height_px = Number(/HEIGHT_PX = (\d+);/.exec(read("../src/audio/useWave.ts"))?.[1]);
  const hashes = [height_px, height_px / 2].map((height) => {
    const written = style.replace(/\$\{.*?\}/, String(height));
    return `'sha256-${createHash("sha256").update(written).digest("base64")}'`;
  });
  expect(style).toContain(":host");
  expect(policy.match(/'sha256-.*?'/g)).toEqual(hashes);
  expect(policy).not.toContain("unsafe-");
});
