/** Which of some calls that came without a word of holds are held: asked once for all of them, and when holds change. */

import { onScopeDispose, watch } from "vue";
import { readCalls } from "@/api/endpoints";
import type { CallFilter } from "@/api/types";
import { useCallHoldsStore } from "./callHolds";
import { onOffice } from "./officeNews";
import { useSessionStore } from "./session";

/** As many calls as the box tells at once. */
const MOST = 500;

/** `filter` finds all of them, by customer or number, and few others. */
export function useHeldAmong(filter: () => CallFilter, callIds: () => string[]): void {
  const holds = useCallHoldsStore();
  const session = useSessionStore();

  async function look(): Promise<void> {
    const ids = callIds();
    if (!ids.length || !session.may("hold_manage")) return;
    const found = await readCalls({ ...filter(), held: "true" }, MOST).catch(() => null);
    if (!found) return; // what is known stays
    const held = new Set(found.calls.map((call) => call.id));
    holds.take(
      ids,
      ids.filter((id) => held.has(id)),
    );
  }
  watch(() => callIds().join(), look, { immediate: true });
  // Of a single call the store learns by itself.
  onScopeDispose(onOffice("hold_changed", ({ call_id }) => call_id === null && look()));
}
