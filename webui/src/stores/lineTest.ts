/** Test calls: watches the lines and notes what was seen of each; kept in the operator's drafts. */

import { useDebounceFn, useIntervalFn } from "@vueuse/core";
import { defineStore } from "pinia";
import { reactive, ref } from "vue";
import { readDraft } from "@/api/box";
import { keepDraft } from "@/api/desk";
import { readPopup } from "@/api/endpoints";
import { type Checks, look } from "@/text/lineChecks";
import { useBoardStore } from "./board";
import { useCallsStore } from "./calls";
import { usePopupsStore } from "./popups";

const DRAFT_KEY = "line-test";
const LOOK_EVERY_MS = 250;
const KEEP_AFTER_MS = 1500;

export const useLineTestStore = defineStore("lineTest", () => {
  const board = useBoardStore();
  const calls = useCallsStore();
  const popups = usePopupsStore();
  const results = reactive(new Map<number, Checks>());
  const lastCall = reactive(new Map<number, string>());
  const popped = reactive(new Map<string, boolean>());
  const loaded = ref(false);

  calls.keep(() => [...lastCall.values()]);

  const keep = useDebounceFn(async () => {
    // What cannot be kept now is kept with the next change.
    await keepDraft(DRAFT_KEY, JSON.stringify([...results])).catch(() => undefined);
  }, KEEP_AFTER_MS);

  /** What was seen earlier, maybe at another computer. */
  async function load(): Promise<void> {
    if (loaded.value) return;
    try {
      const kept = JSON.parse((await readDraft(DRAFT_KEY)) ?? "[]") as [number, Checks][];
      for (const [number, checks] of kept) if (!results.has(number)) results.set(number, checks);
    } catch {
      // The test begins anew.
    }
    loaded.value = true;
  }

  /** Whether a call popped up here: a card, or at its end what the box says. */
  function askPopup(callId: string, ended: boolean): boolean | null {
    const known = popped.get(callId);
    if (known !== undefined) return known;
    if (popups.stack.some((card) => card.callId === callId)) popped.set(callId, true);
    else if (ended) {
      popped.set(callId, false);
      void readPopup(callId).then(
        () => popped.set(callId, true),
        () => undefined,
      );
    }
    return popped.get(callId) ?? null;
  }

  function lookAtAll(): void {
    if (!loaded.value) return;
    for (const channel of board.sorted) {
      const running = board.callOf(channel.number);
      if (running) lastCall.set(channel.number, running.id);
      const call = calls.known.get(lastCall.get(channel.number) ?? "");
      const shown = call ? askPopup(call.id, call.state === "ended") : null;
      const before = results.get(channel.number) ?? {};
      const after = look(before, { reading: channel, call, popped: shown });
      if (JSON.stringify(after) === JSON.stringify(before)) continue;
      results.set(channel.number, after);
      void keep();
    }
  }
  const watching = useIntervalFn(lookAtAll, LOOK_EVERY_MS, { immediate: false });

  function begin(): void {
    void load();
    watching.resume();
  }

  /** Forgets what was seen of these lines. */
  function restart(numbers: number[]): void {
    for (const number of numbers) {
      results.delete(number);
      lastCall.delete(number);
    }
    void keep();
  }

  return { results, lastCall, begin, stop: watching.pause, restart };
});
