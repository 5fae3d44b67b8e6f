/** Choosing all that a list finds, also what nobody has scrolled to yet. */

import { computed, ref, watch } from "vue";

/** Beyond it people narrow down with a filter: every row is held in the page. */
export const MOST_CHOSEN = 1000;

export interface ChoosableList {
  ids: () => string[];
  /** There are rows that nobody has read yet. */
  more: () => boolean;
  loadMore: () => Promise<void>;
  outdated: () => boolean;
}

/** `choose` takes the ids of all rows. */
export function useChooseAll(list: ChoosableList, chosen: () => number, choose: (ids: Set<string>) => void) {
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
  const offers = computed(() => whole.value && !list.outdated() && list.ids().length < MOST_CHOSEN && list.more());
  /** So many are chosen that no more can be. */
  const full = computed(() => chosen() >= MOST_CHOSEN && list.more());

  async function chooseAll(): Promise<void> {
    if (reading.value) return;
    reading.value = true;
    try {
      while (list.more() && !list.outdated() && list.ids().length < MOST_CHOSEN) {
        const before = list.ids().length;
        await list.loadMore();
        if (list.ids().length === before) break; // it failed: what is here is chosen, and the list says what is wrong
      }
      if (!list.outdated()) choose(new Set(list.ids()));
    } finally {
      reading.value = false;
    }
  }
  return { reading, offers, full, chooseAll };
}
