/** How wide columns have to be so that their headings are not cut, whatever the language. */

import type { ListColumn } from "@/stores/listView";

/** Beside the text of a heading: the cell's padding, and what is rounded away. */
const BESIDE_PX = 18;
/** The sign of the order, with its gap. */
const SIGN_PX = 20;

/** Measures a text in bold as it is drawn in `element`; null where nothing can be measured. */
export function textMeasure(element: Element): ((text: string) => number) | null {
  const context = document.createElement("canvas").getContext("2d");
  if (!context) return null;
  const { fontSize, fontFamily } = getComputedStyle(element);
  context.font = `700 ${fontSize} ${fontFamily}`;
  return (text) => context.measureText(text).width;
}

/** The columns, none of them narrower than its heading. */
export function fitHeads(columns: ListColumn[], name: (key: string) => string, measure: (text: string) => number) {
  return columns.map((column) => {
    const head_px = Math.ceil(measure(name(column.key))) + BESIDE_PX + (column.sorts ? SIGN_PX : 0);
    return head_px > column.width_px ? { ...column, width_px: head_px } : column;
  });
}
