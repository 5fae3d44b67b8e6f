/** The office's days and times, in a browser that goes by the clock of another continent. */

import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { boundsOf, dayBegins, dayOf, daysOf, spanOfDays } from "@/text/days";
import { laterTimes } from "@/text/laterTimes";
import { exactTime, sayMoment } from "@/text/moment";
import {
  clocksAgree,
  clockText,
  fromPicker,
  momentOf,
  setOfficeZone,
  startOfDay_ms,
  toPicker,
  wallOf,
} from "@/text/officeTime";

beforeAll(() => {
  vi.stubEnv("TZ", "America/New_York");
});
afterEach(() => setOfficeZone(""));
afterAll(() => vi.unstubAllEnvs());

const ms = (iso: string) => Date.parse(iso);
const iso = (at_ms: number) => new Date(at_ms).toISOString();

test("the browser of these tests is in New York", () => {
  expect(new Date(2026, 10, 23, 12).toISOString()).toBe("2026-11-23T17:00:00.000Z");
});

test("today, yesterday and tomorrow change at the office's midnight", () => {
  setOfficeZone("Asia/Shanghai");
  const now = ms("2026-11-23T16:30:00Z"); // half past midnight on Tuesday in Shanghai, Monday's noon in New York
  const say = (at: string) => sayMoment(at, now, "zh-CN");
  expect(say("2026-11-23T16:05:00Z")).toMatchObject({ key: "today", time: "00:05", date: "11月24日" });
  expect(say("2026-11-23T15:59:59Z")).toMatchObject({ key: "yesterday", time: "23:59", date: "11月23日" });
  expect(say("2026-11-22T16:00:00Z").key).toBe("yesterday");
  expect(say("2026-11-22T15:59:59Z").key).toBe("date");
  expect(say("2026-11-24T16:00:00Z").key).toBe("tomorrow");
  expect(say("2026-11-25T16:00:00Z").key).toBe("date");
  expect(say("2026-11-23T16:29:30Z").key).toBe("now");
  expect(exactTime("2026-11-23T16:05:07.250Z", "zh-CN")).toBe("2026/11/24 00:05:07");
  expect(clockText(now, "en")).toBe("00:30");
});

test("a year ends when the office's does", () => {
  setOfficeZone("Asia/Shanghai");
  const now = ms("2026-12-31T17:00:00Z"); // already 2027 in Shanghai
  expect(sayMoment("2026-12-20T00:00:00Z", now, "en").date).toBe("Dec 20, 2026");
  expect(sayMoment("2027-02-01T00:00:00Z", now, "en").date).toBe("Feb 1");
});

test("days of filters are the office's", () => {
  setOfficeZone("Asia/Shanghai");
  expect(dayOf(ms("2026-11-23T16:00:00Z"))).toBe("2026-11-24");
  expect(dayOf(ms("2026-11-23T15:59:59Z"))).toBe("2026-11-23");
  expect(dayBegins("2026-11-24")).toBe("2026-11-23T16:00:00.000Z");
  const bounds = boundsOf(...spanOfDays("thisMonth", dayOf(ms("2026-10-31T16:00:00Z"))));
  expect(bounds).toEqual({ from: "2026-10-31T16:00:00.000Z", to: "2026-11-01T16:00:00.000Z" });
  expect(daysOf(bounds.from, bounds.to)).toEqual(["2026-11-01", "2026-11-01"]);
  expect(iso(startOfDay_ms(ms("2026-11-23T20:00:00Z"), 2))).toBe("2026-11-25T16:00:00.000Z");
});

test("tomorrow morning is the office's nine o'clock", () => {
  setOfficeZone("Asia/Shanghai");
  const later = laterTimes(ms("2026-11-20T09:00:00Z")); // Friday, 17:00
  expect(later.map((one) => `${one.key} ${one.at.toISOString()}`)).toEqual([
    "hour 2026-11-20T10:00:00.000Z",
    "tomorrow 2026-11-21T01:00:00.000Z",
    "monday 2026-11-23T01:00:00.000Z",
    "week 2026-11-27T01:00:00.000Z",
  ]);
});

test("what is picked is meant by the office's clock, and shown as it was picked", () => {
  setOfficeZone("Asia/Shanghai");
  const picked = new Date(2026, 10, 24, 9, 30); // whatever the calendar's own zone is
  expect(fromPicker(picked).toISOString()).toBe("2026-11-24T01:30:00.000Z");
  expect(toPicker(fromPicker(picked))).toEqual(picked);
});

test("where clocks are put forward and back, every day begins once", () => {
  setOfficeZone("America/Santiago"); // at midnight of 6 September 2026 it becomes one o'clock
  expect(dayBegins("2026-09-06")).toBe("2026-09-06T04:00:00.000Z");
  expect(dayOf(ms("2026-09-06T04:00:00Z"))).toBe("2026-09-06");
  expect(dayOf(ms("2026-09-06T03:59:59Z"))).toBe("2026-09-05");
  setOfficeZone("Europe/Berlin"); // 25 October 2026 has 25 hours
  expect([dayBegins("2026-10-25"), dayBegins("2026-10-26")]).toEqual([
    "2026-10-24T22:00:00.000Z",
    "2026-10-25T23:00:00.000Z",
  ]);
  expect(iso(momentOf(2026, 10, 25, 2, 30))).toBe("2026-10-25T00:30:00.000Z");
  expect(sayMoment("2026-10-24T22:30:00Z", ms("2026-10-25T22:30:00Z"), "en").key).toBe("today");
});

test("zones of half hours, and what a browser does not know", () => {
  setOfficeZone("Asia/Kolkata");
  expect(wallOf(ms("2026-11-23T18:29:59Z")).toISOString()).toBe("2026-11-23T23:59:59.000Z");
  setOfficeZone("Mars/Olympus");
  expect(dayOf(ms("2026-11-23T04:59:59Z"))).toBe("2026-11-22"); // New York's
});

test("clocks agree when they show the same all the year", () => {
  const now = ms("2026-11-23T12:00:00Z");
  expect(clocksAgree(now)).toBe(true);
  setOfficeZone("America/Toronto");
  expect(clocksAgree(now)).toBe(true);
  setOfficeZone("America/Bogota"); // the same in winter alone
  expect(clocksAgree(now)).toBe(false);
});
