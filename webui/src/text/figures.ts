/** Figures of reports as people read them. */

/** 12,345 */
export const countText = (value: number, locale: string) => value.toLocaleString(locale);

/** 12.5% of a part of 1; a dash where there is nothing to divide by. */
export const percentText = (part: number | null) =>
  part === null ? "–" : `${(100 * part).toFixed(part < 0.1 ? 1 : 0)}%`;

/** Hours and minutes of a long time, as the language writes them: 128h 5m; only minutes below an hour. */
export function hoursText(duration_ms: number, locale: string): string {
  const minutes = Math.round(duration_ms / 60_000);
  const say = (value: number, unit: string) =>
    value.toLocaleString(locale, { style: "unit", unit, unitDisplay: "narrow" });
  const rest = say(minutes % 60, "minute");
  return minutes < 60 ? rest : `${say(Math.floor(minutes / 60), "hour")} ${rest}`;
}

/** A span's name: `2026-11-21` as 11/21, `2026-11-21T09` as 09:00, a month as it is. */
export function bucketText(bucket: string, locale: string): string {
  const found = /^(\d{4})-(\d{2})(?:-(\d{2})(?:[T ](\d{2}))?)?/.exec(bucket);
  if (!found) return bucket;
  const [, year = "", month = "", day, hour] = found;
  if (hour) return `${Number(day)}. ${hour}:00`;
  if (!day) return `${year}-${month}`;
  return new Date(Number(year), Number(month) - 1, Number(day)).toLocaleDateString(locale, {
    month: "numeric",
    day: "numeric",
  });
}
