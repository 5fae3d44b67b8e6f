import { describe, expect, it } from "vitest";
import type { BoxAlarm } from "@/api/boxTypes";
import type { AuditEntry } from "@/api/officeTypes";
import { traceOptions } from "@/charts/lineOptions";
import type { Palette } from "@/charts/options";
import { boxAlarms } from "@/stores/alarms";
import { progressOf } from "@/stores/firstStart";
import { SPAN_MS, withSample } from "@/stores/lineTrace";
import { parameterChanges } from "@/text/parameterChanges";

const alarm = (change: Partial<BoxAlarm>): BoxAlarm => ({
  id: 1,
  code: "anchor_failed",
  subject: "webhook",
  at: "2026-11-22T10:00:00.000Z",
  cleared_at: null,
  details: {},
  ...change,
});

describe("alarms of the box", () => {
  it("come with their text, their place and what went wrong", () => {
    const [one] = boxAlarms([alarm({ details: { error: "timed out" } })]);
    expect(one).toMatchObject({ code: "box_anchor_failed", to: { name: "evidence" }, grave: false });
    expect(one?.values).toMatchObject({ name: "webhook", detail: "timed out" });
  });

  it("are not told twice where the state of cards and storage tells them, unless they are over", () => {
    expect(boxAlarms([alarm({ code: "storage_full" }), alarm({ code: "card_lost" })])).toEqual([]);
    expect(boxAlarms([alarm({ code: "card_lost", cleared_at: "2026-11-22T11:00:00.000Z" })])).toHaveLength(1);
  });

  it("are shown even when this page does not know them", () => {
    expect(boxAlarms([alarm({ code: "brand_new" })])[0]).toMatchObject({
      code: "box_other",
      values: { code: "brand_new" },
    });
  });
});

describe("the guided set-up", () => {
  it("goes on where it was left, and begins anew with what it cannot read", () => {
    expect(progressOf('{"step":"lines","passed":["language","site"]}')).toEqual({
      step: "lines",
      passed: ["language", "site"],
    });
    const beginning = { step: "language", passed: [] };
    for (const text of [null, "", "nonsense", '{"step":"moon","passed":["sun"]}', '{"passed":3}']) {
      expect(progressOf(text), String(text)).toEqual(beginning);
    }
  });
});

describe("the graph of a line", () => {
  const reading = { number: 1, line: "present", hook: "on", ringing: false, recording: false } as const;

  it("keeps one span of samples, with volts whatever their sign", () => {
    let samples = withSample([], { ...reading, volts: -48, level_dbm0: -60 }, 0);
    expect(samples).toEqual([{ at_ms: 0, volts: 48, level_dbm0: -60 }]);
    samples = withSample(samples, undefined, 1000);
    expect(samples.at(-1)).toEqual({ at_ms: 1000, volts: null, level_dbm0: null });
    samples = withSample(samples, { ...reading, volts: 7, level_dbm0: null }, SPAN_MS + 900);
    expect(samples.map((one) => one.at_ms)).toEqual([1000, SPAN_MS + 900]);
  });

  it("draws each threshold at its value", () => {
    const palette = { line: "", soft: "", text: "", strong: "", trouble: "", surface: "" } as Palette;
    const trace = {
      name: "volts",
      unit: "V",
      low: 0,
      high: 60,
      points: [[1, 48]] as [number, number][],
      thresholds: [{ name: "off-hook", value: 21.5 }],
    };
    const [series] = traceOptions(trace, 1000, 1000, String, palette, "").series as { markLine: { data: unknown[] } }[];
    expect(series?.markLine.data).toEqual([{ name: "off-hook", yAxis: 21.5 }]);
  });
});

describe("the history of a parameter", () => {
  it("is what the audit log tells of this key alone", () => {
    const entry = (id: number, data: Record<string, unknown>): AuditEntry => ({
      id,
      at: "2026-11-22T10:00:00.000Z",
      actor: "1000",
      action: "channel.change",
      subject: "1",
      address: "",
      data,
      withheld: false,
      hash: null,
    });
    const entries = [
      entry(3, { before: { off_hook_v: 20, name: "a" }, after: { off_hook_v: 24, name: "a" } }),
      entry(2, { before: { name: "a" }, after: { name: "b" } }),
      entry(1, {}),
    ];
    expect(parameterChanges(entries, "off_hook_v")).toEqual([
      { id: 3, at: "2026-11-22T10:00:00.000Z", by: "1000", before: 20, after: 24 },
    ]);
    expect(parameterChanges(entries, "name").map((one) => one.id)).toEqual([2]);
  });
});
