/** The headings of a virtual table, on the same tracks as its rows. */

import { SortDown, SortUp } from "@element-plus/icons-vue";
import { ElIcon } from "element-plus";
import { defineComponent, h, type PropType } from "vue";
import { useI18n } from "vue-i18n";
import type { ListColumn, Sorting } from "@/stores/listView";

const ARIA_SORT = { asc: "ascending", desc: "descending" } as const;

export const TableHead = defineComponent({
  props: {
    columns: { type: Array as PropType<ListColumn[]>, required: true },
    titles: { type: String, required: true },
    sorting: { type: Object as PropType<Sorting | null>, default: null },
    selectable: Boolean,
    allChosen: Boolean,
    /** Nothing can be chosen now. */
    locked: Boolean,
  },
  emits: { sort: (_by: string) => true, chooseAll: () => true },
  setup(props, { emit }) {
    const { t } = useI18n();

    function box() {
      const input = h("input", {
        type: "checkbox",
        checked: props.allChosen,
        disabled: props.locked,
        "aria-label": t("table.chooseAll"),
        onChange: () => emit("chooseAll"),
      });
      return h("div", { class: "cell box", role: "columnheader" }, [h("label", { class: "choose" }, [input])]);
    }

    function heading({ key, align, fixed, sorts }: ListColumn) {
      const name = t(`${props.titles}.${key}`);
      const order = sorts !== undefined && props.sorting?.by === sorts ? props.sorting.order : null;
      const text = h("span", { class: "cut-text" }, name);
      const sign = order && h(ElIcon, () => h(order === "asc" ? SortUp : SortDown));
      const button =
        sorts &&
        h("button", { type: "button", "aria-label": t("table.sortBy", { name }), onClick: () => emit("sort", sorts) }, [
          text,
          sign,
        ]);
      const sorted = order ? { "aria-sort": ARIA_SORT[order] } : {};
      return h("div", { key, class: ["cell", align, { fixed }], role: "columnheader", ...sorted }, [button || text]);
    }

    return () =>
      h("div", { class: "head", role: "rowgroup" }, [
        h("div", { class: "row", role: "row", "aria-rowindex": 1 }, [
          props.selectable ? box() : null,
          ...props.columns.map(heading),
        ]),
      ]);
  },
});
