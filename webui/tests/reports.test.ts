import { describe, expect, it } from "vitest";
import type { CallFigures, CallStatistics } from "@/api/officeTypes";
import { barOptions, heatOptions, type Palette } from "@/charts/options";
import { byKey, daysOfSpan, outcomeBars, stepFor } from "@/stores/reports";
import { bucketText, countText, hoursText, percentText } from "@/text/figures";

const figures = (change: Partial<CallFigures>) =>
  ({ calls: 0, answered: 0, missed: 0, abandoned: 0, outgoing: 0, talk_ms: 0, ...change }) as CallFigures;
const row = (bucket: string, key: string | null, change: Partial<CallFigures>) => ({
  bucket,
  key,
  name: key ?? "",
  figures: figures(change),
});
const statistics = (rows: CallStatistics["rows"], categories: string[] = []) =>
  ({ rows, chart: { categories } }) as unknown as CallStatistics;
const palette: Palette = {
  text: "#000",
  soft: "#111",
  line: "#222",
  surface: "#fff",
  series: ["#00f", "#88f"],
  trouble: "#f00",
  washed: "#eef",
  strong: "#00f",
};

describe("figures", () => {
  it("of several months are put together by key, the busiest first", () => {
    const found = byKey(
      statistics([
        row("2026-10", "1", { calls: 2, missed: 1 }),
        row("2026-10", null, { calls: 9 }),
        row("2026-11", "1", { calls: 3 }),
      ]),
    );
    expect(found.map(({ key, calls, missed }) => [key, calls, missed])).toEqual([
      [null, 9, 0],
      ["1", 5, 1],
    ]);
  });

  it("of spans without calls are nought", () => {
    const bars = outcomeBars(statistics([row("b", null, { answered: 4 })], ["a", "b"]));
    expect(bars).toEqual({ categories: ["a", "b"], answered: [0, 4], missed: [0, 0], abandoned: [0, 0] });
  });

  it("are told in steps that can be read", () => {
    expect(daysOfSpan("week", "2026-11-22")).toEqual(["2026-11-16", "2026-11-22"]);
    expect(daysOfSpan("today", "2026-11-22")).toEqual(["2026-11-22", "2026-11-22"]);
    expect([
      stepFor("2026-11-22", "2026-11-22"),
      stepFor("2026-11-01", "2026-11-30"),
      stepFor("2025-01-01", "2026-01-01"),
    ]).toEqual(["hour", "day", "month"]);
  });

  it("are read as people write them", () => {
    expect([countText(12345, "en"), percentText(0.805), percentText(0.042), percentText(null)]).toEqual([
      "12,345",
      "81%",
      "4.2%",
      "–",
    ]);
    expect([hoursText(0, "en"), hoursText(36.55 * 3_600_000, "en")]).toEqual(["0m", "36h 33m"]);
    expect(hoursText(36.55 * 3_600_000, "zh-CN")).toBe("36小时 33分钟");
    expect([
      bucketText("2026-11", "en"),
      bucketText("2026-11-21", "en"),
      bucketText("2026-11-21T09", "en"),
      bucketText("3", "en"),
    ]).toEqual(["2026-11", "11/21", "21. 09:00", "3"]);
  });
});

describe("a chart", () => {
  it("is red for trouble only", () => {
    const series = [
      { name: "已接", values: [1] },
      { name: "未接", values: [2], trouble: true },
      { name: "放弃", values: [3] },
    ];
    const options = barOptions(["周一"], series, palette, "通话") as {
      color: string[];
      aria: { label: { description: string } };
    };
    expect(options.color).toEqual(["#00f", "#f00", "#88f"]);
    expect(options.aria.label.description).toBe("通话");
  });

  it("of busy hours leaves out what nobody knows", () => {
    const options = heatOptions([[1, null, 5]], ["周一"], palette, "", String) as {
      series: { data: number[][] }[];
      visualMap: { max: number };
    };
    expect(options.series[0]?.data).toEqual([
      [0, 0, 1],
      [2, 0, 5],
    ]);
    expect(options.visualMap.max).toBe(5);
  });
});
