/** Where a virtual table stands among its rows. */

import { watch } from "vue";
import type { AnyRow } from "@/components/table/tableRow";

/** Where the table is to begin so that the whole row is in view: where it begins already, if it is. */
export function topFor(row: number, row_px: number, view_px: number, top_px: number): number {
  const from_px = row * row_px;
  return Math.max(0, Math.min(from_px, Math.max(top_px, from_px + row_px - view_px)));
}

/** Tells when there are other rows, and whether they are the answer to another question: those begin at the top. */
export function onRows(count: () => number, outdated: () => boolean, changed: (anew: boolean) => void): void {
  watch([count, outdated], ([, now], [, before]) => changed(before && !now));
}

/**
 * By how many rows those in view from row `at` on have moved because others came before them; 0 if they have not.
 * Where nobody has read a row yet, those behind it count if they were read from the end (`back`).
 */
export function movedBy(at: number, before: readonly AnyRow[], now: readonly AnyRow[], back = false): number {
  const by = now.length - before.length;
  const held = back ? before.findIndex((row, index) => index >= at && !("awaited" in row)) : at;
  const row = before[held];
  return row && !("awaited" in row) && row.id === now[held + by]?.id ? by : 0;
}

/** Gives the elements of rows that have gone out of view to those that have come in: an element is known by its number. */
export function useElements(): (rows: readonly AnyRow[]) => number[] {
  const numbers = new Map<AnyRow["id"], number>();
  const free: number[] = [];
  let made = 0;
  return (rows) => {
    const wanted = new Set(rows.map((row) => row.id));
    for (const [id, number] of numbers) {
      if (wanted.has(id)) continue;
      numbers.delete(id);
      free.push(number);
    }
    return rows.map(({ id }) => {
      let number = numbers.get(id);
      if (number === undefined) {
        number = free.pop() ?? made++;
        numbers.set(id, number);
      }
      return number;
    });
  };
}
