/** Sizes as people say them: 1.4 GiB, 12 MiB. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A number of bytes in the largest unit that leaves at least one whole. */
export function formatSize(size_bytes: number): string {
  let value = size_bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(value < 10 && unit ? 1 : 0)} ${UNITS[unit]}`;
}
