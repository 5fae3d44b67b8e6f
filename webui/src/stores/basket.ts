/** Recordings that somebody collects to fetch them at once; kept with this browser, for each operator apart. */

import { useLocalStorage } from "@vueuse/core";
import { defineStore } from "pinia";
import { computed } from "vue";
import type { Call, Recording } from "@/api/types";
import { partyNumber } from "./calls";
import { useSessionStore } from "./session";

/** So many the box puts into one file. */
export const MOST_IN_BASKET = 100;

/** Enough to show what it is without asking the box again. */
export interface BasketItem {
  id: string;
  call_id: string;
  channel: number;
  number: string | null;
  /** Why there is none. */
  absence?: "withheld" | "unavailable" | null;
  channel_name?: string;
  started_at: string;
  duration_ms: number;
  bytes: number;
  /** Of a call that was made up. */
  simulated?: boolean;
}

const readyOf = (call: Call): Recording[] => call.recordings.filter((recording) => recording.state === "ready");

export const useBasketStore = defineStore("basket", () => {
  const session = useSessionStore();
  const kept = useLocalStorage<Record<string, BasketItem[]>>("tapdeck.basket", {});
  const mine = () => session.operator?.staff_no ?? "";
  const items = computed<BasketItem[]>({
    get: () => kept.value[mine()] ?? [],
    set: (fresh) => {
      kept.value = { ...kept.value, [mine()]: fresh };
    },
  });
  const bytes = computed(() => items.value.reduce((sum, item) => sum + item.bytes, 0));
  const duration_ms = computed(() => items.value.reduce((sum, item) => sum + item.duration_ms, 0));
  const has = (call: Call) => readyOf(call).some(({ id }) => items.value.some((item) => item.id === id));

  /** Puts in what can be downloaded of these calls; how many went in, and how many found no room. */
  function add(calls: Call[]): { added: number; left: number } {
    const known = new Set(items.value.map((item) => item.id));
    const fresh = calls.flatMap((call) =>
      readyOf(call)
        .filter(({ id }) => !known.has(id) && known.add(id))
        .map((recording) => ({
          id: recording.id,
          call_id: call.id,
          channel: call.channel,
          number: partyNumber(call),
          absence: call.absence,
          channel_name: call.channel_name,
          started_at: recording.started_at ?? call.started_at,
          duration_ms: recording.duration_ms ?? 0,
          bytes: recording.bytes ?? 0,
          simulated: call.simulated,
        })),
    );
    const fits = fresh.slice(0, Math.max(0, MOST_IN_BASKET - items.value.length));
    items.value = [...items.value, ...fits];
    return { added: fits.length, left: fresh.length - fits.length };
  }

  function remove(ids: Iterable<string>): void {
    const gone = new Set(ids);
    items.value = items.value.filter((item) => !gone.has(item.id));
  }

  const removeCall = (call: Call) => remove(call.recordings.map((recording) => recording.id));
  function clear(): void {
    items.value = [];
  }

  return { items, bytes, duration_ms, has, add, remove, removeCall, clear };
});
