import { describe, expect, it } from "vitest";
import { LiveBlocks, level_dbm0 } from "@/audio/liveBlocks";

function framed(channel: number, tracks: number, samples: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(28 + 2 * samples.length));
  view.setUint16(0, channel, true);
  view.setUint16(2, tracks, true);
  view.setUint32(4, 8000, true);
  view.setUint32(24, 2 * samples.length, true);
  samples.forEach((sample, index) => {
    view.setInt16(28 + 2 * index, sample, true);
  });
  return new Uint8Array(view.buffer);
}

const answer = new Uint8Array([
  ...new TextEncoder().encode("TDLIVE1\n"),
  ...framed(7, 1, [0, 16384, -32768]),
  ...framed(8, 2, [1024, -2048, 3072, -4096]),
]);

describe("LiveBlocks", () => {
  it.each([1, 3, 27, 28, 29, 1000])("takes an answer apart that comes %i bytes at a time", (step) => {
    const parser = new LiveBlocks();
    const found = [];
    for (let at = 0; at < answer.length; at += step) found.push(...parser.push(answer.slice(at, at + step)));
    expect(found.map((block) => [block.channel, block.sampleRate_hz])).toEqual([
      [7, 8000],
      [8, 8000],
    ]);
    expect(found[0]?.tracks.map((track) => [...track])).toEqual([[0, 0.5, -1]]);
    expect(found[1]?.tracks.map((track) => [...track])).toEqual([
      [0.03125, 0.09375],
      [-0.0625, -0.125],
    ]);
  });
});

describe("level_dbm0", () => {
  const sine = (peak: number) => Float32Array.from({ length: 800 }, (_, at) => peak * Math.sin((2 * Math.PI * at) / 8));

  it("is that of the louder side, a full-scale sine at +3.14", () => {
    expect(level_dbm0([sine(1)])).toBeCloseTo(3.14, 2);
    expect(level_dbm0([sine(0.01), sine(0.1)])).toBeCloseTo(-16.86, 2);
    expect(level_dbm0([new Float32Array(800)])).toBeLessThan(-90);
  });
});
