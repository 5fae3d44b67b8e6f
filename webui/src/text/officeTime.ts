/** The clock on the office's wall: by it days begin and times are written, whatever clock the browser goes by. */

import { shallowRef } from "vue";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Clocks are changed at full quarters of an hour. */
const QUARTER_MS = HOUR_MS / 4;
const MOST_KEPT = 4096;

/** The office's IANA time zone; undefined, the browser's, until the box has told it. */
const zone = shallowRef<string>();
const offsets = new Map<number, number>();
let parts = partsOf(undefined);

function partsOf(timeZone: string | undefined): Intl.DateTimeFormat {
  const number = "numeric";
  return new Intl.DateTimeFormat("en-US", {
    year: number, month: number, day: number, hour: number, minute: number, second: number, hourCycle: "h23", timeZone,
  }); // biome-ignore format: one sentence
}

/** What the box tells of its zone. One that this browser does not know leaves the browser's own. */
export function setOfficeZone(name: string): void {
  if (name === (zone.value ?? "")) return;
  let known: string | undefined = name || undefined;
  try {
    parts = partsOf(known);
  } catch {
    known = undefined;
    parts = partsOf(known);
  }
  offsets.clear();
  zone.value = known;
}

/** For `Intl`. */
export const officeZone = (): string | undefined => zone.value;

/** How far the office's clock is ahead of UTC at a moment. */
function offset_ms(at_ms: number): number {
  if (zone.value === undefined || !Number.isFinite(at_ms)) return -new Date(at_ms).getTimezoneOffset() * 60_000;
  const quarter = Math.floor(at_ms / QUARTER_MS);
  const kept = offsets.get(quarter);
  if (kept !== undefined) return kept;
  const begins_ms = quarter * QUARTER_MS;
  const of = Object.fromEntries(parts.formatToParts(begins_ms).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = of;
  const ahead_ms = Date.UTC(year, month - 1, day, hour, minute, second) - begins_ms;
  if (offsets.size >= MOST_KEPT) offsets.clear();
  offsets.set(quarter, ahead_ms);
  return ahead_ms;
}

/** The wall's date and time of a moment, as the UTC fields of the answer. */
export const wallOf = (at_ms: number): Date => new Date(at_ms + offset_ms(at_ms));

/** The moment at which the wall shows this; of an hour that comes twice the first, of one that is left out its end. */
export function momentOf(year: number, month: number, day: number, hour = 0, minute = 0, second = 0): number {
  const wall_ms = Date.UTC(year, month - 1, day, hour, minute, second);
  const [early_ms, late_ms] = [-DAY_MS, DAY_MS].map((away_ms) => wall_ms - offset_ms(wall_ms + away_ms)) as [
    number,
    number,
  ];
  const fits = (at_ms: number) => at_ms + offset_ms(at_ms) === wall_ms;
  return !fits(early_ms) && fits(late_ms) ? late_ms : early_ms;
}

/** Midnight at the start of the office's day of a moment, `days` later. */
export function startOfDay_ms(at_ms: number, days = 0): number {
  const wall = wallOf(at_ms);
  return momentOf(wall.getUTCFullYear(), wall.getUTCMonth() + 1, wall.getUTCDate() + days);
}

/** A date picker knows the browser's clock alone: a date whose local fields are those of the office's wall. */
export function toPicker(at: Date): Date {
  const wall = wallOf(at.getTime());
  return new Date(
    wall.getUTCFullYear(), wall.getUTCMonth(), wall.getUTCDate(),
    wall.getUTCHours(), wall.getUTCMinutes(), wall.getUTCSeconds(), wall.getUTCMilliseconds(),
  ); // biome-ignore format: date and time
}

/** The moment that was meant by what somebody picked. */
export function fromPicker(picked: Date): Date {
  const at_ms = momentOf(
    picked.getFullYear(), picked.getMonth() + 1, picked.getDate(),
    picked.getHours(), picked.getMinutes(), picked.getSeconds(),
  ); // biome-ignore format: date and time
  return new Date(at_ms + picked.getMilliseconds());
}

/** Whether the browser's clock shows the same at this moment, and half a year on. */
export function clocksAgree(at_ms: number): boolean {
  const browser_ms = (moment_ms: number) => -new Date(moment_ms).getTimezoneOffset() * 60_000;
  return [at_ms, at_ms + 182 * DAY_MS].every((moment_ms) => offset_ms(moment_ms) === browser_ms(moment_ms));
}

const CLOCK: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

/** The office's time of day, perhaps to the second. */
export function clockText(at_ms: number, locale: string, seconds = false): string {
  return new Date(at_ms).toLocaleTimeString(locale, {
    ...CLOCK,
    ...(seconds && { second: "2-digit" }),
    timeZone: zone.value,
  });
}
