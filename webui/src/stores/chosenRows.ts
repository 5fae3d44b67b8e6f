/** The rows that somebody has chosen in a list: never others than those that are shown. */

import { computed, ref, watch } from "vue";

/** `outdated`: the rows answer another question than the one being asked; what was chosen of them is forgotten. */
export function useChosenRows<Row extends { id: string }>(rows: () => Row[], outdated: () => boolean) {
  const selected = ref(new Set<string>());
  const chosen = computed<Row[]>(() => {
    if (outdated() || !selected.value.size) return [];
    return rows().filter((row) => selected.value.has(row.id));
  });
  const ids = computed(() => chosen.value.map((row) => row.id));
  watch([rows, outdated], () => {
    if (selected.value.size > ids.value.length) selected.value = new Set(ids.value);
  });
  return { selected, chosen, ids };
}
