/** Choosing all that a list finds, also what nobody has scrolled to yet. */

import { computed, ref, watch } from "vue";

/** Beyond it people narrow down with a filter: every row is held in the page. */
export const MOST_CHOSEN = 1000;
/** So many customers or records the box changes, deletes or restores at once. */
export const MOST_RECORDS_AT_ONCE = 500;

export interface ChoosableList {
  ids: () => string[];
  /** There are rows that nobody has read yet. */
  more: () => boolean;
  loadMore: () => Promise<void>;
  outdated: () => boolean;
}

/** `choose` takes the ids of all rows, `most` of them if they are more. */
export function useChooseAll(
  list: ChoosableList,
  chosen: () => number,
  choose: (ids: Set<string>) => void,
  most = MOST_CHOSEN,
) {
  const reading = ref(false);
  /** Everything that is shown is chosen, and there is more. */
  const whole = ref(false);
  watch(
    () => [chosen(), list.ids().length] as const,
    ([count, shown], old) => {
      if (count > 0 && count === shown) whole.value = true;
      else if (count === 0 || count < (old?.[0] ?? 0)) whole.value = false; // one that arrives live changes nothing
    },
    { immediate: true },
  );
  const offers = computed(() => whole.value && !list.outdated() && list.ids().length < most && list.more());
  /** So many are chosen that no more can be. */
  const full = computed(() => chosen() >= most && (list.more() || chosen() < list.ids().length));

  async function chooseAll(): Promise<void> {
    if (reading.value) return;
    reading.value = true;
    try {
      while (list.more() && !list.outdated() && list.ids().length < most) {
        const before = list.ids().length;
        await list.loadMore();
        if (list.ids().length === before) break; // it failed: what is here is chosen, and the list says what is wrong
      }
      if (!list.outdated()) choose(new Set(list.ids().slice(0, most)));
    } finally {
      reading.value = false;
    }
  }
  return { reading, offers, full, chooseAll };
}
