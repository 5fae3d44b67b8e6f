/** Which calls a hold protects: it comes with pages of calls, or when somebody looks at one; for who manages holds. */

import { defineStore } from "pinia";
import { onScopeDispose, reactive } from "vue";
import { readHoldsOf } from "@/api/endpoints";
import type { Hold } from "@/api/types";
import { useCallsStore } from "./calls";
import { onOffice } from "./officeNews";

export const useCallHoldsStore = defineStore("callHolds", () => {
  const calls = useCallsStore();
  const held = reactive(new Set<string>());
  /** What protects a call, as far as somebody has looked. */
  const known = reactive(new Map<string, Hold[]>());
  const failed = reactive(new Set<string>());

  const isHeld = (callId: string): boolean => held.has(callId);
  const of = (callId: string): Hold[] => known.get(callId) ?? [];

  /** Takes over what the box told with a page of calls: those that are not among `protectedIds` have none. */
  function take(callIds: string[], protectedIds: string[]): void {
    for (const id of callIds) if (!protectedIds.includes(id)) held.delete(id);
    for (const id of protectedIds) held.add(id);
  }

  /** Without an answer what is known stays. */
  async function load(callId: string): Promise<void> {
    try {
      const holds = await readHoldsOf(callId);
      known.set(callId, holds);
      failed.delete(callId);
      take([callId], holds.length ? [callId] : []);
    } catch {
      failed.add(callId);
    }
  }

  /** These calls are held now. */
  async function holdNow(callIds: string[]): Promise<void> {
    for (const id of callIds) held.add(id);
    await Promise.all(callIds.filter((id) => known.has(id)).map(load));
  }

  // Of holds on many calls, lists learn when they are read anew.
  onScopeDispose(
    onOffice("hold_changed", ({ call_id }) => {
      if (call_id === null) for (const id of known.keys()) void load(id);
      else if (known.has(call_id) || held.has(call_id) || calls.known.has(call_id)) void load(call_id);
    }),
  );

  function clear(): void {
    held.clear();
    known.clear();
    failed.clear();
  }

  return { failed, isHeld, of, take, load, holdNow, clear };
});
