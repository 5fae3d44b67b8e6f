/** Moments that people mean when something is to happen later: in an hour, tomorrow morning, next week. */

import { boxNow_ms } from "@/api/http";
import { momentOf, wallOf } from "./officeTime";

export interface Later {
  /** Names the words for it. */
  key: "hour" | "tomorrow" | "monday" | "week";
  at: Date;
}

const MORNING_HOUR = 9;
const MONDAY = 1;
const WEEK_DAYS = 7;

/** `now`: the wall's date. */
function morning(now: Date, days: number): Date {
  return new Date(momentOf(now.getUTCFullYear(), now.getUTCMonth() + 1, now.getUTCDate() + days, MORNING_HOUR));
}

/** The moments as seen from `now_ms`, soonest first; on a Sunday, tomorrow is Monday, and stands there once. */
export function laterTimes(now_ms = boxNow_ms()): Later[] {
  const now = wallOf(now_ms);
  const toMonday = (MONDAY - now.getUTCDay() + WEEK_DAYS) % WEEK_DAYS || WEEK_DAYS;
  const found: Later[] = [
    { key: "hour", at: new Date(now_ms + 3_600_000) },
    { key: "tomorrow", at: morning(now, 1) },
    { key: "monday", at: morning(now, toMonday) },
    { key: "week", at: morning(now, WEEK_DAYS) },
  ];
  return found.filter((one, index) => found.findIndex((other) => other.at.getTime() === one.at.getTime()) === index);
}
