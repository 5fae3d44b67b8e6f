/** The office's days (`YYYY-MM-DD`) and the moments at which they begin. */

import { momentOf, wallOf } from "./officeTime";

/** The office's day of a moment in Unix ms. */
export const dayOf = (at_ms: number): string => wallOf(at_ms).toISOString().slice(0, 10);

/** The day `days` later; negative: earlier. */
export function addDays(day: string, days: number): string {
  const [year = 0, month = 1, date = 1] = day.split("-").map(Number);
  return new Date(Date.UTC(year, month - 1, date + days)).toISOString().slice(0, 10);
}

/** When a day of the office begins, ISO 8601 UTC. */
export function dayBegins(day: string): string {
  const [year = 0, month = 1, date = 1] = day.split("-").map(Number);
  return new Date(momentOf(year, month, date)).toISOString();
}

export const DAY_SPANS = ["today", "yesterday", "thisMonth", "lastMonth"] as const;

/** First and last day of a span that people ask for often, seen from `today`. */
export function spanOfDays(span: (typeof DAY_SPANS)[number], today: string): [string, string] {
  const month = `${today.slice(0, 7)}-01`;
  const before = addDays(month, -1);
  if (span === "lastMonth") return [`${before.slice(0, 7)}-01`, before];
  if (span === "thisMonth") return [month, today];
  const day = span === "today" ? today : addDays(today, -1);
  return [day, day];
}

/** A filter's bounds for the days from `first` to `last`, both with: the end is not included. */
export function boundsOf(first: string, last: string): { from: string; to: string } {
  return { from: dayBegins(first), to: dayBegins(addDays(last, 1)) };
}

/** The days of such bounds; null when one of them is missing. */
export function daysOf(from: string | undefined, to: string | undefined): [string, string] | null {
  if (!from || !to) return null;
  return [dayOf(Date.parse(from)), addDays(dayOf(Date.parse(to)), -1)];
}
