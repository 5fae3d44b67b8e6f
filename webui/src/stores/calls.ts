/** Every call the page knows, once, kept current by the event stream; lists and cards refer to calls by id. */

import { defineStore } from "pinia";
import { reactive, ref } from "vue";
import { readCall } from "@/api/endpoints";
import type { Call, CallFilter, CallState, Customer, Recording } from "@/api/types";
import { plainNumber } from "@/text/phoneNumber";

const PROGRESS: Record<CallState, number> = { ringing: 0, dialling: 0, talking: 1, ended: 2 };
/** Live arrivals remembered for the tops of lists; beyond it the older half goes and lists are read anew. */
const ARRIVALS_KEPT = 500;
/** Beyond it, calls that nobody shows any more are forgotten: a desk stays open for weeks. */
const KNOWN_KEPT = 2000;

/** The other party's number: the caller's of an incoming call, the dialled one of an outgoing call. */
export function partyNumber(call: Call): string | null {
  return call.direction === "incoming" ? call.caller_number : call.dialled_number;
}

/** Who it is, as far as known: the customers in scope, else the name the exchange sent. */
export function partyName(call: Call): string {
  const names = call.customers.map((customer) => customer.name || customer.company || "");
  return names.filter(Boolean).join(" / ") || call.caller_name || "";
}

/** The numbers of a customer in the spellings that are known here. */
export function numbersOf(customer: Customer): Set<string> {
  return new Set(customer.phones.flatMap((phone) => [phone.number, phone.e164 ?? phone.number]));
}

/** What the page can judge by itself; with any other filter only the box knows which calls are meant. */
const JUDGED_HERE: ReadonlySet<string> = new Set(["channel", "direction", "result", "number", "state", "handled_by"]);

/** True if a call belongs into a list with this filter. */
export function matchesFilter(call: Call, filter: CallFilter): boolean {
  if (Object.entries(filter).some(([key, value]) => value && !JUDGED_HERE.has(key))) return false;
  if (filter.channel !== undefined && call.channel !== Number(filter.channel)) return false;
  if (filter.direction && call.direction !== filter.direction) return false;
  if (filter.result && call.result !== filter.result) return false;
  if (filter.state && call.state !== filter.state) return false;
  if (filter.handled_by && call.handled_by !== filter.handled_by) return false;
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
  /** Counts how often older arrivals were dropped. */
  const dropped = ref(0);
  const keepers = new Set<() => Iterable<string>>();
  let forgetBeyond = KNOWN_KEPT;

  /** Registers who names the calls that it shows, so that they stay known; returns how to unregister. */
  function keep(shown: () => Iterable<string>): () => void {
    keepers.add(shown);
    return () => keepers.delete(shown);
  }

  function forgetUnshown(): void {
    if (known.size <= forgetBeyond) return;
    const kept = new Set(arrived.value);
    for (const shown of keepers) for (const id of shown()) kept.add(id);
    for (const [id, call] of known) if (call.state === "ended" && !kept.has(id)) known.delete(id);
    forgetBeyond = Math.max(KNOWN_KEPT, 2 * known.size);
  }

  /** Takes over a call. A snapshot may overtake the stream, so a call never goes back to an earlier state. */
  function put(call: Call): void {
    const old = known.get(call.id);
    if (old && PROGRESS[old.state] > PROGRESS[call.state]) return;
    known.set(call.id, { ...call, recordings: mergeRecordings(old?.recordings ?? [], call.recordings) });
  }

  /** A call by its id, asked of the box when it is not known here. Throws ApiError. */
  async function get(id: string): Promise<Call> {
    const old = known.get(id);
    if (old) return old;
    put(await readCall(id));
    return known.get(id) as Call;
  }

  /** Takes over a call told by the stream; one never seen before joins the arrivals. */
  function arrive(call: Call): void {
    if (!known.has(call.id)) {
      arrived.value = [call.id, ...arrived.value];
      if (arrived.value.length > ARRIVALS_KEPT) {
        arrived.value = arrived.value.slice(0, ARRIVALS_KEPT / 2);
        dropped.value += 1;
      }
    }
    put(call);
    forgetUnshown();
  }

  function putRecording(callId: string | null, recording: Recording): void {
    const call = callId === null ? undefined : known.get(callId);
    if (!call) return;
    const others = call.recordings.filter((other) => other.id !== recording.id);
    known.set(call.id, { ...call, recordings: [...others, recording].sort((one, two) => one.segment - two.segment) });
  }

  /** A customer was added or changed: its calls show the present name. */
  function takeCustomer(customer: Customer): void {
    const numbers = numbersOf(customer);
    const { id, name, company } = customer;
    for (const call of known.values()) {
      const shown = call.customers.some((other) => other.id === id);
      if (shown) call.customers = call.customers.map((other) => (other.id === id ? { id, name, company } : other));
      else if (numbers.has(partyNumber(call) ?? "")) call.customers = [...call.customers, { id, name, company }];
    }
  }

  /** A customer was deleted. */
  function dropCustomer(id: Customer["id"]): void {
    for (const call of known.values()) {
      if (call.customers.some((other) => other.id === id))
        call.customers = call.customers.filter((other) => other.id !== id);
    }
  }

  function clear(): void {
    known.clear();
    arrived.value = [];
  }

  return { known, arrived, dropped, keep, get, put, arrive, putRecording, takeCustomer, dropCustomer, clear };
});
