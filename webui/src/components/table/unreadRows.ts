/** Rows of a list that nobody has read yet: grey bars stand for them, behind those that were read or between them. */

import { AWAITED } from "@/components/table/tableRow";

/** The page that comes next is asked for so many rows ahead. */
const AHEAD_ROWS = 40;

/** What a table draws: `rows` with bars before row `at`. */
export function withUnread<Row>(rows: readonly Row[], at: number) {
  return at < rows.length ? [...rows.slice(0, at), ...AWAITED, ...rows.slice(at)] : [...rows, ...AWAITED];
}

/**
 * Whether what is drawn from `first` to `last` comes near what is unread before row `at` of `count`: from the side of
 * the end (back), from the other one (on), or not at all.
 */
export function nearUnread(first: number, last: number, at: number, count: number): "back" | "on" | undefined {
  if (at < count && first >= at) return first < at + AWAITED.length + AHEAD_ROWS ? "back" : undefined;
  return last >= at - AHEAD_ROWS ? "on" : undefined;
}

/** The row that a key leads to instead of `to`, which may be a bar: the last one that has been read on the way. */
export function besideUnread(from: number, to: number, at: number): number {
  if (to < at || to >= at + AWAITED.length) return to;
  return from < at ? at - 1 : at + AWAITED.length;
}
