/** Every call the page knows, once, kept current by the event stream; lists and cards refer to calls by id. */

import { defineStore } from "pinia";
import { reactive, ref } from "vue";
import type { Call, CallFilter, CallState, Recording } from "@/api/types";
import { plainNumber } from "@/text/phoneNumber";

const PROGRESS: Record<CallState, number> = { ringing: 0, dialling: 0, talking: 1, ended: 2 };
/** Live arrivals remembered for the tops of lists; older ones are found by reading the list anew. */
const ARRIVALS_KEPT = 500;

/** The other party's number: the caller's of an incoming call, the dialled one of an outgoing call. */
export function partyNumber(call: Call): string | null {
  return call.direction === "incoming" ? call.caller_number : call.dialled_number;
}

/** Who it is, as far as known: the customers in scope, else the name the exchange sent. */
export function partyName(call: Call): string {
  const names = call.customers.map((customer) => customer.name || customer.company || "");
  return names.filter(Boolean).join(" / ") || call.caller_name || "";
}

/** True if a call belongs into a list with this filter. */
export function matchesFilter(call: Call, filter: CallFilter): boolean {
  if (filter.channel !== undefined && call.channel !== filter.channel) return false;
  if (filter.direction && call.direction !== filter.direction) return false;
  if (filter.result && call.result !== filter.result) return false;
  const wanted = plainNumber(filter.number ?? "");
  return !wanted || plainNumber(partyNumber(call) ?? "").includes(wanted);
}

function mergeRecordings(old: Recording[], fresh: Recording[]): Recording[] {
  const merged = new Map(fresh.map((recording) => [recording.id, recording]));
  for (const recording of old) {
    if ((merged.get(recording.id)?.state ?? "pending") === "pending") merged.set(recording.id, recording);
  }
  return [...merged.values()].sort((one, two) => one.segment - two.segment);
}

export const useCallsStore = defineStore("calls", () => {
  const known = reactive(new Map<string, Call>());
  const arrived = ref<string[]>([]);

  /** Takes over a call. A snapshot may overtake the stream, so a call never goes back to an earlier state. */
  function put(call: Call): void {
    const old = known.get(call.id);
    if (old && PROGRESS[old.state] > PROGRESS[call.state]) return;
    known.set(call.id, { ...call, recordings: mergeRecordings(old?.recordings ?? [], call.recordings) });
  }

  /** Takes over a call told by the stream; one never seen before joins the arrivals. */
  function arrive(call: Call): void {
    if (!known.has(call.id)) arrived.value = [call.id, ...arrived.value].slice(0, ARRIVALS_KEPT);
    put(call);
  }

  function putRecording(callId: string, recording: Recording): void {
    const call = known.get(callId);
    if (!call) return;
    const others = call.recordings.filter((other) => other.id !== recording.id);
    known.set(callId, { ...call, recordings: [...others, recording].sort((one, two) => one.segment - two.segment) });
  }

  function clear(): void {
    known.clear();
    arrived.value = [];
  }

  return { known, arrived, put, arrive, putRecording, clear };
});
