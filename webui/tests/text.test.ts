import { describe, expect, it } from "vitest";
import { formatDuration } from "@/text/duration";
import { sayMoment } from "@/text/moment";
import { startOfDay_ms } from "@/text/officeTime";
import { groupNumber, plainNumber } from "@/text/phoneNumber";

describe("numbers are grouped as people read them", () => {
  it.each([
    ["13800138000", "138 0013 8000"],
    ["013812345678", "0 138 1234 5678"],
    ["+8613812345678", "+86 138 1234 5678"],
    ["01062345678", "010 6234 5678"],
    ["02187654321", "021 8765 4321"],
    ["075587654321", "0755 8765 4321"],
    ["05318123456", "0531 812 3456"],
    ["+8675587654321", "+86 755 8765 4321"],
    ["+861062345678", "+86 10 6234 5678"],
    ["62345678", "6234 5678"],
    ["6234567", "623 4567"],
    ["4008001234", "400 800 1234"],
    ["95588", "95588"],
    ["110", "110"],
    ["+14155550100", "+1 415 555 0100"],
    ["+4915112345678", "+49 151 1234 5678"],
    ["+85212345678", "+852 1234 5678"],
    ["*57#", "*57#"],
    ["", ""],
    [null, ""],
  ])("%s → %s", (raw, grouped) => {
    expect(groupNumber(raw)).toBe(grouped);
  });

  it("and no digit is lost or added", () => {
    for (let length = 1; length <= 16; length += 1) {
      for (const start of ["1", "0", "010", "0755", "13", "+86", "+1", "+44"]) {
        const raw = start + "2345678901234567".slice(0, length);
        expect(plainNumber(groupNumber(raw))).toBe(raw);
      }
    }
  });
});

describe("durations", () => {
  it.each([
    [0, "0:00"],
    [999, "0:00"],
    [7_000, "0:07"],
    [754_999, "12:34"],
    [3_723_000, "1:02:03"],
    [-50, "0:00"],
    [null, "–"],
    [undefined, "–"],
    [Number.NaN, "–"],
  ])("%s ms → %s", (duration_ms, text) => {
    expect(formatDuration(duration_ms)).toBe(text);
  });
});

describe("moments", () => {
  const now_ms = new Date(2026, 10, 21, 14, 5, 30).getTime();
  const say = (at: Date, locale = "zh-CN") => sayMoment(at.toISOString(), now_ms, locale);

  it("are said as people say them", () => {
    expect(say(new Date(2026, 10, 21, 14, 5, 0)).key).toBe("now");
    expect(say(new Date(2026, 10, 21, 9, 7, 0))).toMatchObject({ key: "today", time: "09:07" });
    expect(say(new Date(2026, 10, 20, 23, 59, 0)).key).toBe("yesterday");
    expect(say(new Date(2026, 10, 19, 8, 0, 0))).toMatchObject({ key: "date", date: "11月19日" });
    expect(say(new Date(2025, 10, 19, 8, 0, 0), "en").date).toContain("2025");
  });

  it("to come have their day, too", () => {
    expect(say(new Date(2026, 10, 21, 18, 0, 0)).key).toBe("today");
    expect(say(new Date(2026, 10, 22, 0, 0, 0)).key).toBe("tomorrow");
    expect(say(new Date(2026, 10, 22, 23, 59, 0)).key).toBe("tomorrow");
    expect(say(new Date(2026, 10, 23, 9, 0, 0))).toMatchObject({ key: "date", date: "11月23日" });
  });

  it("midnight is 00:00, and starts the day", () => {
    expect(say(new Date(2026, 10, 21, 0, 0, 0)).time).toBe("00:00");
    expect(startOfDay_ms(now_ms)).toBe(new Date(2026, 10, 21).getTime());
  });
});
