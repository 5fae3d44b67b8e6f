/**
 * A row of a virtual table, drawn anew only when what it shows changes.
 *
 * While one scrolls, the table asks for all rows in view. A row that gets its content by `inject` instead of slots has
 * the same properties as before, and is left alone; its cells are plain elements without styles of their own, because
 * the browser looks at a style again even where it is the same.
 */

import { defineComponent, h, type InjectionKey, inject, type Slot, type VNode } from "vue";
import type { ListColumn } from "@/stores/listView";

export interface AnyRow {
  id: string | number;
}

export interface TableLooks {
  /** As the page gave them: `cell` is asked with its column and row, `narrow` with its row. */
  slots: object;
  /** Those shown, in their order; null where a row is one cell, in a narrow window. */
  columns: () => ListColumn[] | null;
  selectable: () => boolean;
  isChosen: (id: string | number) => boolean;
  /** Nothing can be chosen now. */
  isLocked: () => boolean;
  choose: (id: string | number) => void;
  /** What the box that chooses a row is called. */
  chooses: (row: AnyRow) => string;
  /** Attributes and classes of a row. */
  marks: (row: AnyRow) => Record<string, unknown>;
}
export const TABLE_LOOKS: InjectionKey<TableLooks> = Symbol("table looks");

/** Rows that are not here yet: they stand where the next page will. */
const AWAITED_ROWS = 12;
export const AWAITED: readonly AnyRow[] = Array.from({ length: AWAITED_ROWS }, (_, index) => ({
  id: `awaited-${index}`,
  awaited: true,
}));

const bone = (key: string) => h("div", { key, class: "cell", role: "cell" }, [h("span", { class: "bone" })]);

export const TableRow = defineComponent({
  props: { row: { type: Object, required: true }, index: { type: Number, required: true } },
  setup(props) {
    const table = inject(TABLE_LOOKS) as TableLooks;
    const content = (part: string, about: object) =>
      (table.slots as Partial<Record<string, Slot>>)[part]?.({ row: props.row, ...about });

    function box(row: AnyRow): VNode {
      const input = h("input", {
        type: "checkbox",
        checked: table.isChosen(row.id),
        disabled: table.isLocked(),
        "aria-label": table.chooses(row),
        onChange: () => table.choose(row.id),
      });
      return h("div", { key: "box", class: "cell box", role: "cell" }, [
        h("label", { class: "choose", "data-testid": "choose-row" }, [input]),
      ]);
    }

    return () => {
      const row = props.row as AnyRow;
      const columns = table.columns() ?? [{ key: "narrow" } as ListColumn];
      if ("awaited" in row) {
        const bones = columns.map(({ key }) => bone(key));
        if (table.selectable()) bones.unshift(bone("box"));
        return h("div", { class: "row", role: "row", "aria-busy": "true" }, bones);
      }
      const cells = columns.map(({ key, align, fixed }) =>
        h(
          "div",
          { key, class: ["cell", align, { fixed }], role: "cell" },
          key === "narrow" ? content("narrow", {}) : content("cell", { column: key }),
        ),
      );
      if (table.selectable()) cells.unshift(box(row));
      const place = { role: "row", tabindex: 0, "aria-rowindex": props.index + 2, "data-id": row.id };
      return h("div", { ...place, ...table.marks(row) }, cells);
    };
  },
});
