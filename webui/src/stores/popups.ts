/** The pop-up cards: one per call, running calls first, kept until the operator puts them away. */

import { defineStore } from "pinia";
import { computed, reactive, ref } from "vue";
import { readPopup, releaseCall, takeCall } from "@/api/endpoints";
import { ApiError } from "@/api/http";
import type { Customer, Popup } from "@/api/types";
import { numbersOf, partyNumber, useCallsStore } from "./calls";
import { useSessionStore } from "./session";

/** Who handles a call. `said`: told by "I take it", which closes the others' cards; a snapshot or a hand-on does not. */
export interface Taker {
  staffNo: string;
  name: string;
  said: boolean;
}

/** A card on the desk. The calls themselves live in the calls store. */
export interface PopupCardData {
  callId: string;
  customers: Customer[];
  rows: string[];
  offersNewCustomer: boolean;
  historyIds: string[];
  taker: Taker | null;
}

/** What somebody has typed into a card's form; it survives every change of page and of the call. */
export interface PopupDraft {
  name: string;
  company: string;
  note: string;
}

const DISMISSED_KEY = "tapdeck.dismissed-popups";
const DISMISSED_KEPT = 200;
/** Finished cards beyond this are put away, the oldest first, unless something was typed into them. */
const FINISHED_KEPT = 12;

function readDismissed(): string[] {
  try {
    return JSON.parse(globalThis.sessionStorage?.getItem(DISMISSED_KEY) ?? "[]") as string[];
  } catch {
    return [];
  }
}

export const usePopupsStore = defineStore("popups", () => {
  const calls = useCallsStore();
  const session = useSessionStore();
  const cards = reactive(new Map<string, PopupCardData>());
  const drafts = reactive(new Map<string, PopupDraft>());
  const dismissed = ref(readDismissed());

  calls.keep(() => [...cards.values()].flatMap((card) => [card.callId, ...card.historyIds]));
  const isRunning = (callId: string) => calls.known.get(callId)?.state !== "ended";

  const isMine = (card: PopupCardData) => card.taker !== null && card.taker.staffNo === session.operator?.staff_no;
  /** A colleague has taken the call. The card waits unseen, for it may be given back; with typed text it stays. */
  const isClosed = (card: PopupCardData) => card.taker?.said === true && !isMine(card) && !drafts.has(card.callId);

  /** The cards on the screen: running calls first, each part newest first. */
  const stack = computed(() =>
    [...cards.values()]
      .filter((card) => !isClosed(card))
      .sort((one, two) => {
        const running = Number(isRunning(two.callId)) - Number(isRunning(one.callId));
        return running || (one.callId < two.callId ? 1 : -1);
      }),
  );
  const finished = computed(() => stack.value.filter((card) => !isRunning(card.callId)));
  const ringing = computed(() =>
    stack.value.flatMap((card) => {
      const call = calls.known.get(card.callId);
      return call?.state === "ringing" ? [call] : [];
    }),
  );
  /** Number of the call that rings now, for the window's title. */
  const ringingNumber = computed(() => (ringing.value[0] ? (partyNumber(ringing.value[0]) ?? "") : null));

  /** Shows a pop-up. The same call never gets a second card, nor one that was put away a new one. */
  function take(popup: Popup): void {
    calls.arrive(popup.call);
    for (const call of popup.history) calls.put(call);
    if (dismissed.value.includes(popup.call.id)) return;
    const handler = popup.call.handled_by;
    const taker = handler === null ? null : { staffNo: handler, name: "", said: false };
    cards.set(popup.call.id, {
      callId: popup.call.id,
      customers: popup.customers,
      rows: popup.rows,
      offersNewCustomer: popup.offers_new_customer,
      historyIds: popup.history.map((call) => call.id).filter((id) => id !== popup.call.id),
      taker: cards.get(popup.call.id)?.taker ?? taker,
    });
    for (const card of cards.values()) if (isClosed(card) && !isRunning(card.callId)) cards.delete(card.callId);
    const surplus = finished.value.filter((card) => !drafts.has(card.callId)).slice(FINISHED_KEPT);
    for (const card of surplus) dismiss(card.callId);
  }

  function dismiss(callId: string): void {
    cards.delete(callId);
    drafts.delete(callId);
    dismissed.value = [callId, ...dismissed.value].slice(0, DISMISSED_KEPT);
    globalThis.sessionStorage?.setItem(DISMISSED_KEY, JSON.stringify(dismissed.value));
  }

  function dismissFinished(): void {
    for (const card of finished.value) dismiss(card.callId);
  }

  /** Somebody took a call: their card says so, and those of the others close. */
  function noteTaken(callId: string, staffNo: string, name: string): void {
    const card = cards.get(callId);
    if (card) card.taker = { staffNo, name, said: true };
  }

  /** The taking was undone: the cards are open again. */
  function noteReleased(callId: string): void {
    const card = cards.get(callId);
    if (card) card.taker = null;
  }

  /** A colleague passes on a card that was here already: it is on the screen again, whoever took the call. */
  function noteHanded(callId: string): void {
    const card = cards.get(callId);
    if (card?.taker) card.taker = { ...card.taker, said: false };
  }

  /** Says "I take it". If a colleague was first, the card says who that is. Throws ApiError. */
  async function takeOver(callId: string): Promise<void> {
    try {
      noteTaken(callId, (await takeCall(callId)).staff_no, session.operator?.name ?? "");
    } catch (error) {
      if (error instanceof ApiError && error.code === "taken" && !cards.get(callId)?.taker) {
        const first = (await readPopup(callId).catch(() => null))?.call.handled_by;
        if (first && !cards.get(callId)?.taker) noteTaken(callId, first, "");
      }
      throw error;
    }
  }

  /** Takes "I take it" back while the call runs. Throws ApiError. */
  async function giveBack(callId: string): Promise<void> {
    await releaseCall(callId);
    noteReleased(callId);
  }

  /** A customer was added or changed: show it on every card of that number, and where it stood before. */
  function takeCustomer(customer: Customer): void {
    calls.takeCustomer(customer);
    const numbers = numbersOf(customer);
    for (const card of cards.values()) {
      const call = calls.known.get(card.callId);
      const number = call ? partyNumber(call) : null;
      const shown = card.customers.some((other) => other.id === customer.id);
      if (!shown && !(number && numbers.has(number))) continue;
      card.customers = shown
        ? card.customers.map((other) => (other.id === customer.id ? customer : other))
        : [...card.customers, customer];
      card.offersNewCustomer = false;
      drafts.delete(card.callId);
    }
  }

  /** A customer was deleted. */
  function dropCustomer(id: Customer["id"]): void {
    calls.dropCustomer(id);
    for (const card of cards.values()) card.customers = card.customers.filter((other) => other.id !== id);
  }

  function clear(): void {
    cards.clear();
    drafts.clear();
  }

  return {
    cards,
    drafts,
    stack,
    finished,
    ringing,
    ringingNumber,
    isRunning,
    isMine,
    take,
    noteTaken,
    noteReleased,
    noteHanded,
    takeOver,
    giveBack,
    dismiss,
    dismissFinished,
    takeCustomer,
    dropCustomer,
    clear,
  };
});
