/** One's own lines, and what can be told of them without an administrator: a list of checks, each passed or not. */

import { useDebounceFn } from "@vueuse/core";
import { onScopeDispose, ref, shallowRef, watch } from "vue";
import { readMyLines } from "@/api/desk";
import type { MyLine, MyLines } from "@/api/deskTypes";
import type { ChannelReading } from "@/api/types";
import { useCallsStore } from "./calls";
import { onReload, useLiveStore } from "./live";
import { onOffice } from "./officeNews";

/** `null`: nothing can be said yet. */
export interface Check {
  key: "line" | "ring" | "number" | "popup" | "permission" | "page";
  passed: boolean | null;
}

/** Everything that a pop-up needs, in the order in which it comes about. */
export function checksOf(line: MyLine, reading: ChannelReading, mine: MyLines, connected: boolean): Check[] {
  const rang = line.calls.length > 0;
  return [
    { key: "line", passed: reading.line === "unknown" ? null : reading.line === "present" },
    { key: "ring", passed: rang ? true : null },
    { key: "number", passed: rang ? line.last_number !== null : null },
    { key: "popup", passed: line.channel.popup === true || line.channel.popup === "Y" },
    { key: "permission", passed: mine.net_popup },
    { key: "page", passed: connected },
  ];
}

/** Reads the own lines, or with `channel` another one in scope; again whenever something happened on them. */
export function useMyLines(channel: () => number | undefined) {
  const calls = useCallsStore();
  const live = useLiveStore();
  const mine = shallowRef<MyLines | null>(null);
  const loading = ref(true);
  const problem = ref<unknown>(null);

  async function load(): Promise<void> {
    loading.value = true;
    const wanted = channel();
    try {
      const fresh = await readMyLines(wanted);
      if (wanted !== channel()) return;
      for (const line of fresh.lines) for (const one of line.calls) calls.put(one.call);
      mine.value = fresh;
      problem.value = null;
    } catch (error) {
      problem.value = error;
    } finally {
      loading.value = false;
    }
  }

  const LOOK_AFTER_MS = 400;
  const lookAgain = useDebounceFn(load, LOOK_AFTER_MS);
  watch(channel, load);
  watch(
    () =>
      calls.arrived.slice(0, 20).map((id) => `${id}${calls.known.get(id)?.state}${calls.known.get(id)?.caller_number}`),
    lookAgain,
  );
  watch(() => live.state, lookAgain);
  onScopeDispose(onReload(load));
  onScopeDispose(onOffice("channel_changed", lookAgain));
  onScopeDispose(calls.keep(() => mine.value?.lines.flatMap((line) => line.calls.map((one) => one.call.id)) ?? []));
  void load();
  return { mine, loading, problem, load };
}
