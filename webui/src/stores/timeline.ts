/** All calls that went on within some time, on whatever channel in scope. */

import { ref, watch } from "vue";
import { readCalls, readRecordings } from "@/api/endpoints";
import { boxNow_ms } from "@/api/http";
import type { Call } from "@/api/types";
import type { LaneCall } from "@/charts/lanes";
import { useCallsStore } from "./calls";

const PAGE = 500;
/** Beyond it nobody can tell the bars apart. */
const MOST = 2000;
/** Longer ones are found by their recordings. */
const LONG_MS = 3_600_000;

/** When a call ended; what runs goes on until now. */
export const endOf = (call: Call) => (call.ended_at ? Date.parse(call.ended_at) : boxNow_ms());

export function laneOf(call: Call, label: string): LaneCall {
  return {
    id: call.id,
    channel: call.channel,
    label,
    from_ms: Date.parse(call.started_at),
    answered_ms: call.answered_at ? Date.parse(call.answered_at) : null,
    to_ms: endOf(call),
    missed: call.result === "missed",
  };
}

/** The calls that overlap a span (Unix ms; null: nothing is asked for), oldest first. */
export function useTimeline(span: () => { from_ms: number; to_ms: number } | null) {
  const calls = useCallsStore();
  const found = ref<Call[]>([]);
  const loading = ref(false);
  const problem = ref<unknown>(null);
  const cut = ref(false);
  let turn = 0;

  async function all(from_ms: number, to_ms: number): Promise<Map<string, Call>> {
    const to = new Date(to_ms).toISOString();
    const here = new Map<string, Call>();
    let before: string | undefined;
    do {
      const from = new Date(from_ms - LONG_MS).toISOString();
      const page = await readCalls({ from, to }, PAGE, before);
      for (const call of page.calls) here.set(call.id, call);
      before = page.next ?? undefined;
    } while (before && here.size < MOST);
    cut.value = before !== undefined;
    const recordings = await readRecordings({ from: new Date(from_ms).toISOString(), to, limit: PAGE });
    const others = new Set(
      recordings.recordings.flatMap(({ call_id }) => (call_id && !here.has(call_id) ? [call_id] : [])),
    );
    for (const id of others) here.set(id, await calls.get(id));
    return here;
  }

  async function load(): Promise<void> {
    const wanted = span();
    turn += 1;
    const mine = turn;
    if (!wanted) return;
    loading.value = true;
    try {
      const here = await all(wanted.from_ms, wanted.to_ms);
      if (mine !== turn) return;
      const { from_ms, to_ms } = wanted;
      const overlapping = [...here.values()].filter(
        (call) => endOf(call) > from_ms && Date.parse(call.started_at) < to_ms,
      );
      for (const call of overlapping) calls.put(call);
      found.value = overlapping.sort((one, two) => (one.started_at < two.started_at ? -1 : 1));
      problem.value = null;
    } catch (error) {
      if (mine === turn) problem.value = error;
    } finally {
      if (mine === turn) loading.value = false;
    }
  }

  watch(span, load, { immediate: true });
  return { found, loading, problem, cut, reload: load };
}
