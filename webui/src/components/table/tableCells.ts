/**
 * The cells of a virtual table, drawn anew only when what they show changes.
 *
 * While one scrolls, the table renders all its rows for every frame. A cell that gets its content by `inject` instead
 * of a slot has the same properties as before, and is left alone.
 */

import { ElCheckbox } from "element-plus";
import { defineComponent, h, type InjectionKey, inject, type Slot } from "vue";

export interface Cells {
  /** As the page gave them; each is asked with its column and row. */
  slots: object;
  isChosen: (id: string | number) => boolean;
  choose: (id: string | number) => void;
}
export const CELLS: InjectionKey<Cells> = Symbol("cells");

/** What the page puts into the slot `part` for a row and a column. */
export const TableCell = defineComponent({
  props: {
    part: { type: String, required: true },
    column: { type: String, required: true },
    row: { type: Object, required: true },
  },
  setup(props) {
    const cells = inject(CELLS);
    const content = () => (cells?.slots as Partial<Record<string, Slot>> | undefined)?.[props.part];
    return () => content()?.({ column: props.column, row: props.row });
  },
});

/** Chooses a row. */
export const ChooseCell = defineComponent({
  props: { rowId: { type: [String, Number], required: true }, label: { type: String, required: true } },
  setup(props) {
    const cells = inject(CELLS);
    const change = () => cells?.choose(props.rowId);
    return () => h(ElCheckbox, { modelValue: cells?.isChosen(props.rowId), ariaLabel: props.label, onChange: change });
  },
});
