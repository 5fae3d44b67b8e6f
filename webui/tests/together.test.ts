import { describe, expect, it } from "vitest";
import { nextHeard, placeAt, spanOf, tracksOf } from "@/audio/together";
import { aCall, aRecording } from "./samples";

const BEGIN_MS = Date.parse("2026-11-03T08:00:00.000Z");
const recording = (id: string, after_s: number, long_s: number) =>
  aRecording(id, {
    state: "ready",
    started_at: new Date(BEGIN_MS + 1000 * after_s).toISOString(),
    duration_ms: 1000 * long_s,
  });
const one = aCall("a", { state: "ended", recordings: [recording("a1", 0, 10)] });
const other = aCall("b", { state: "ended", recordings: [recording("b1", 4, 3), recording("b2", 20, 5)] });
const at = (after_s: number) => BEGIN_MS + 1000 * after_s;

describe("calls that are heard together", () => {
  const tracks = tracksOf([one, other]);

  it("have each recording at its place in time", () => {
    expect(spanOf(tracks)).toEqual({ from_ms: at(0), to_ms: at(25) });
    expect(tracks.map((track) => placeAt(track, at(5)))).toEqual([5, 1, null]);
    expect(tracks.map((track) => placeAt(track, at(7)))).toEqual([7, null, null]);
  });

  it("skip the time in which nobody talks, and end", () => {
    expect(nextHeard(tracks, at(9.5))).toBe(at(9.5));
    expect(nextHeard(tracks, at(10))).toBe(at(20));
    expect(nextHeard(tracks, at(25))).toBeNull();
  });

  it("leave out what cannot be heard", () => {
    const lost = aCall("c", { state: "ended", recordings: [aRecording("c1", { state: "lost" })] });
    const runs = aCall("d", { state: "talking", recordings: [recording("d1", 0, 5)] });
    expect(tracksOf([lost, runs])).toEqual([]);
    expect(spanOf([])).toBeNull();
  });
});
