/** Why a call popped up for whom, or did not; and what would happen if a number rang. For those who manage operators. */

import { defineStore } from "pinia";
import { computed, ref, shallowRef } from "vue";
import { readPopupTrace, simulatePopup } from "@/api/desk";
import type { Judged, PopupCause, ReasonLine, SimulatedLine, Supposed, TraceLine } from "@/api/deskTypes";
import type { Call } from "@/api/types";

const OF_ALL: Record<string, PopupCause> = {
  channel_popup: "channel_popup",
  incoming: "direction",
  direction: "direction",
  number_present: "number_present",
  net_popup: "net_popup",
  available: "available",
};
const OF_THE_CHANNEL = ["channel_is_associated", "operator_group_is_channel_group"];
const KNOWN_ROWS = ["A", "B", "C", "D", "E"];

/** In one word, why a call popped up or would, or the first condition that holds it back. */
export function causeOf(line: ReasonLine): PopupCause {
  if (line.shows) return "shown";
  const failed = line.conditions.filter((one) => !one.holds);
  const first = failed.find((one) => one.row === null);
  if (first) return OF_ALL[first.condition] ?? "not_here";
  const known = line.conditions.some((one) => one.row !== null && KNOWN_ROWS.includes(one.row));
  return known && !failed.some((one) => OF_THE_CHANNEL.includes(one.condition))
    ? "customer_of_others"
    : "not_my_channel";
}

/** What became of the card of a call that was: `missed` when the rules showed it and nobody's page was there. */
export function outcomeOf(line: TraceLine): "came" | "handed" | "missed" | "none" {
  if (line.shown_at !== null) return line.handed_by ? "handed" : "came";
  return line.shows ? "missed" : "none";
}

export const useWhyStore = defineStore("why", () => {
  /** The call that is looked at; null while something is thought up. */
  const call = shallowRef<Call | null>(null);
  const open = ref(false);
  const trace = shallowRef<Judged<TraceLine> | null>(null);
  const simulated = shallowRef<Judged<SimulatedLine> | null>(null);
  const busy = ref(false);
  const problem = ref<unknown>(null);
  const judged = computed<Judged<TraceLine | SimulatedLine> | null>(() => (call.value ? trace.value : simulated.value));
  const lines = computed(() => judged.value?.operators ?? null);

  /** Opens the drawer with the reasons of a call. */
  async function explain(which: Call): Promise<void> {
    call.value = which;
    trace.value = null;
    open.value = true;
    await attempt(async () => {
      const found = await readPopupTrace(which.id);
      if (call.value?.id === which.id) trace.value = found;
    });
  }

  /** Opens the drawer to think up a call. */
  function suppose(): void {
    call.value = null;
    problem.value = null;
    open.value = true;
  }

  const simulate = (supposed: Supposed) =>
    attempt(async () => {
      simulated.value = await simulatePopup(supposed);
    });

  async function attempt(action: () => Promise<void>): Promise<void> {
    busy.value = true;
    problem.value = null;
    try {
      await action();
    } catch (error) {
      problem.value = error;
    } finally {
      busy.value = false;
    }
  }

  return { call, open, trace, simulated, judged, lines, busy, problem, explain, suppose, simulate };
});
