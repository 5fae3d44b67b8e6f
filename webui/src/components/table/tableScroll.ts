/** How a virtual table scrolls: by rows up and down, and sideways together with its head. */

import { watch } from "vue";

interface Scrolling {
  states: { scrollLeft: number; scrollTop: number };
  scrollTo(to: { scrollLeft: number; scrollTop: number }): void;
}

/** Where the table is to begin so that the whole row is in view: where it begins already, if it is. */
export function topFor(row: number, row_px: number, view_px: number, top_px: number): number {
  const from_px = row * row_px;
  return Math.max(0, Math.min(from_px, Math.max(top_px, from_px + row_px - view_px)));
}

/** Tells when there are other rows, and whether they are the answer to another question: those begin at the top. */
export function onRows(count: () => number, outdated: () => boolean, changed: (anew: boolean) => void): void {
  watch([count, outdated], ([, now], [, before]) => changed(before && !now));
}

/** Either part that is scrolled sideways takes the other along. */
export function useTableScroll(grid: () => Scrolling | null | undefined, head: () => Element | undefined) {
  /** What the head was given: it tells of that too, but later, when the rows may be further on. */
  let given_px = 0;

  function toTop(top_px: number): void {
    const body = grid();
    body?.scrollTo({ scrollLeft: body.states.scrollLeft, scrollTop: top_px });
  }
  function toRow(row: number, row_px: number, view_px: number): void {
    const body = grid();
    if (body) toTop(topFor(row, row_px, view_px, body.states.scrollTop));
  }
  /** The rows have been scrolled. */
  function follow({ scrollLeft }: { scrollLeft: number }): void {
    const element = head();
    if (!element || element.scrollLeft === scrollLeft) return;
    element.scrollLeft = scrollLeft;
    given_px = element.scrollLeft;
  }
  /** The head has been scrolled: a heading out of view got the focus. */
  function lead(): void {
    const [element, body] = [head(), grid()];
    if (!element || !body || Math.abs(element.scrollLeft - given_px) < 1) return;
    given_px = element.scrollLeft;
    body.scrollTo({ scrollLeft: given_px, scrollTop: body.states.scrollTop });
  }
  return { toTop, toRow, follow, lead };
}
