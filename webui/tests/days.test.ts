/** Spans of days that people ask for. */

import { expect, test } from "vitest";
import { DAY_SPANS, spanOfDays } from "@/text/days";

test("spans of days as people say them, also where a year begins", () => {
  const spans = (today: string) => DAY_SPANS.map((span) => spanOfDays(span, today).join(" "));
  expect(spans("2026-11-23")).toEqual([
    "2026-11-23 2026-11-23",
    "2026-11-22 2026-11-22",
    "2026-11-01 2026-11-23",
    "2026-10-01 2026-10-31",
  ]);
  expect(spans("2028-01-01")).toEqual([
    "2028-01-01 2028-01-01",
    "2027-12-31 2027-12-31",
    "2028-01-01 2028-01-01",
    "2027-12-01 2027-12-31",
  ]);
  expect(spanOfDays("lastMonth", "2028-03-31").join(" ")).toBe("2028-02-01 2028-02-29");
});
