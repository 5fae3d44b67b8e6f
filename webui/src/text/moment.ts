/** Times as people say them: just now, 14:05, yesterday 14:05, tomorrow 9:00, 3 Nov 14:05; and the exact one for the tooltip. */

export interface Moment {
  /** Key of the sentence under `moment` in the locale files. */
  key: "now" | "today" | "yesterday" | "tomorrow" | "date";
  time: string;
  date: string;
}

const NOW_LIMIT_MS = 60_000;
/** Longer than any day, shorter than two: from a midnight it leads into the next day, also when clocks change. */
const INTO_NEXT_DAY_MS = 36 * 3_600_000;

/** Midnight at the start of the local day of `at_ms`, in Unix ms. */
export function startOfDay_ms(at_ms: number): number {
  const day = new Date(at_ms);
  day.setHours(0, 0, 0, 0);
  return day.getTime();
}

/** Making a formatter takes far longer than using it, and a table says hundreds of moments. */
const formatters = new Map<string, Intl.DateTimeFormat>();
function format(at: Date, locale: string, options: Intl.DateTimeFormatOptions): string {
  if (Number.isNaN(at.getTime())) return "";
  const key = locale + JSON.stringify(options);
  const known = formatters.get(key) ?? new Intl.DateTimeFormat(locale, options);
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
  const otherYear = at.getFullYear() !== new Date(now_ms).getFullYear();
  const date = format(at, locale, otherYear ? DAY_OF_YEAR : DAY);
  const today_ms = startOfDay_ms(now_ms);
  if (Math.abs(now_ms - at_ms) < NOW_LIMIT_MS) return { key: "now", time, date };
  const tomorrow_ms = startOfDay_ms(today_ms + INTO_NEXT_DAY_MS);
  if (at_ms >= startOfDay_ms(tomorrow_ms + INTO_NEXT_DAY_MS)) return { key: "date", time, date };
  if (at_ms >= tomorrow_ms) return { key: "tomorrow", time, date };
  if (at_ms >= today_ms) return { key: "today", time, date };
  if (at_ms >= startOfDay_ms(today_ms - 1)) return { key: "yesterday", time, date };
  return { key: "date", time, date };
}

/** The exact local time, to the second. */
export function exactTime(iso: string, locale: string): string {
  return format(new Date(iso), locale, EXACT);
}
