import { describe, expect, it } from "vitest";
import { nextTick, reactive, ref } from "vue";
import { MOST_CHOSEN, MOST_RECORDS_AT_ONCE, useChooseAll } from "@/stores/chooseAll";

function listOf(all: number, page: number, fails = false, most = MOST_CHOSEN) {
  const ids = ref(Array.from({ length: Math.min(page, all) }, (_, n) => `c${n}`));
  const selected = ref(new Set<string>());
  const list = {
    ids: () => ids.value,
    more: () => ids.value.length < all,
    outdated: () => false,
    loadMore: async () => {
      if (fails) return;
      const count = Math.min(all, ids.value.length + page);
      ids.value = Array.from({ length: count }, (_, n) => `c${n}`);
    },
  };
  const choosing = reactive(
    useChooseAll(
      list,
      () => selected.value.size,
      (found) => {
        selected.value = found;
      },
      most,
    ),
  );
  return { ids, selected, choosing };
}

describe("choosing all that is found", () => {
  it("is offered when all loaded rows are chosen and there are more, and then takes every row", async () => {
    const { ids, selected, choosing } = listOf(245, 100);
    expect(choosing.offers).toBe(false);
    selected.value = new Set(ids.value);
    await nextTick();
    expect(choosing.offers).toBe(true);
    ids.value = ["arrived", ...ids.value];
    await nextTick();
    expect(choosing.offers).toBe(true);
    await choosing.chooseAll();
    expect(selected.value.size).toBe(245);
    expect(choosing.offers).toBe(false);
    expect(choosing.full).toBe(false);
  });

  it("stops where no more can be chosen, and says so", async () => {
    const { ids, selected, choosing } = listOf(5000, 100);
    selected.value = new Set(ids.value);
    await choosing.chooseAll();
    expect(selected.value.size).toBe(MOST_CHOSEN);
    expect(choosing.full).toBe(true);
    expect(choosing.offers).toBe(false);
  });

  it("takes no more than the box does at once, though more are loaded", async () => {
    const { ids, selected, choosing } = listOf(900, 200, false, MOST_RECORDS_AT_ONCE);
    selected.value = new Set(ids.value);
    await choosing.chooseAll();
    expect([selected.value.size, ids.value.length]).toEqual([500, 600]);
    expect([choosing.full, choosing.offers]).toEqual([true, false]);
  });

  it("chooses what is there when the box does not answer", async () => {
    const { selected, choosing } = listOf(245, 100, true);
    await choosing.chooseAll();
    expect(selected.value.size).toBe(100);
    expect(choosing.reading).toBe(false);
  });
});
