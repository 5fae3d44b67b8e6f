/** Times as people say them: just now, 14:05, yesterday 14:05, tomorrow 9:00, 3 Nov 14:05; and the exact one for the tooltip. */

import { officeZone, wallOf } from "./officeTime";

export interface Moment {
  /** Key of the sentence under `moment` in the locale files. */
  key: "now" | "today" | "yesterday" | "tomorrow" | "date";
  time: string;
  date: string;
}

const NOW_LIMIT_MS = 60_000;
const DAY_MS = 86_400_000;
const DAYS = new Map<number, Moment["key"]>([
  [-1, "yesterday"],
  [0, "today"],
  [1, "tomorrow"],
]);

/** Making a formatter takes far longer than using it, and a table says hundreds of moments. */
const formatters = new Map<string, Intl.DateTimeFormat>();
function format(at: Date, locale: string, options: Intl.DateTimeFormatOptions): string {
  if (Number.isNaN(at.getTime())) return "";
  const timeZone = officeZone();
  const key = `${locale} ${timeZone} ${JSON.stringify(options)}`;
  const known = formatters.get(key) ?? new Intl.DateTimeFormat(locale, { ...options, timeZone });
  formatters.set(key, known);
  return known.format(at);
}

const TIME: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DAY: Intl.DateTimeFormatOptions = { month: "short", day: "numeric" };
const DAY_OF_YEAR: Intl.DateTimeFormatOptions = { ...DAY, year: "numeric" };
const EXACT: Intl.DateTimeFormatOptions = {
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
};

/** How to say `iso` at the moment `now_ms` in the language `locale`. */
export function sayMoment(iso: string, now_ms: number, locale: string): Moment {
  const at_ms = Date.parse(iso);
  const at = new Date(at_ms);
  const time = format(at, locale, TIME);
  const otherYear = wallOf(at_ms).getUTCFullYear() !== wallOf(now_ms).getUTCFullYear();
  const date = format(at, locale, otherYear ? DAY_OF_YEAR : DAY);
  if (Math.abs(now_ms - at_ms) < NOW_LIMIT_MS) return { key: "now", time, date };
  const day = (ms: number) => Math.floor(wallOf(ms).getTime() / DAY_MS);
  const key = DAYS.get(day(at_ms) - day(now_ms)) ?? "date";
  return { key, time, date };
}

/** The exact time of the office, to the second. */
export function exactTime(iso: string, locale: string): string {
  return format(new Date(iso), locale, EXACT);
}
