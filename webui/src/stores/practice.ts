/** Practice beside real lines, as everybody sees it: read at the start, told by the event stream, over by the clock. */

import { defineStore } from "pinia";
import { computed, ref } from "vue";
import { boxNow_ms } from "@/api/http";
import { endPractice, type Practice, readPractice, startPractice } from "@/api/practice";
import { useBoardStore } from "./board";

/** The keeper looks once a second whether it is over. */
const LATER_MS = 2000;

export const usePracticeStore = defineStore("practice", () => {
  const board = useBoardStore();
  const info = ref<Practice | null>(null);
  /** When it ends; null while it is not on. */
  const until = computed(() => info.value?.until ?? null);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let turn = 0;

  function take(found: Practice | null): void {
    turn += 1;
    info.value = found;
    clearTimeout(timer);
    if (found?.until) timer = setTimeout(refresh, Date.parse(found.until) - boxNow_ms() + LATER_MS);
  }

  async function load(): Promise<void> {
    const mine = turn;
    try {
      const found = await readPractice();
      if (mine === turn) take(found);
    } catch {
      // What was known stays; the connection state tells that the box is away.
    }
  }

  /** It was turned on or off, or its time is over: its lines come or go. */
  function refresh(): void {
    void load();
    void board.load();
    void board.loadCards();
  }

  async function start(minutes: number, lines: number): Promise<void> {
    take(await startPractice(minutes, lines));
  }

  async function end(): Promise<void> {
    await endPractice();
    refresh();
  }

  return { info, until, load, refresh, start, end, clear: () => take(null) };
});
