/** The pop-up cards: one per call, running calls first, kept until the operator puts them away. */

import { defineStore } from "pinia";
import { computed, reactive, ref, watch } from "vue";
import { acknowledgePopup, handPopup } from "@/api/desk";
import type { CardNote, DeskPopup } from "@/api/deskTypes";
import { readPopup, releaseCall, takeCall } from "@/api/endpoints";
import { ApiError } from "@/api/http";
import type { Customer, Popup } from "@/api/types";
import { numbersOf, partyNumber, useCallsStore } from "./calls";
import { useKeptStore } from "./kept";
import { type NoteDraft, type PopupCardData, type PopupDraft, readIds, type Taker } from "./popupCard";
import { orderOf } from "./popupOrder";
import { useSessionStore } from "./session";

export type { NoteDraft, PopupCardData, PopupDraft, Taker };

const DISMISSED_KEY = "tapdeck.dismissed-popups";
const OPEN_KEY = "tapdeck.open-popups";
const DISMISSED_KEPT = 200;
/**
 * Finished cards beyond this are put away, the oldest first, unless something was typed into them or somebody opened
 * them again. One's own are counted apart: the calls of others do not push them out.
 */
const FINISHED_KEPT = 12;

export const usePopupsStore = defineStore("popups", () => {
  const calls = useCallsStore();
  const session = useSessionStore();
  const kept = useKeptStore();
  const cards = reactive(new Map<string, PopupCardData>());
  const drafts = kept.part<PopupDraft>("newcomer");
  const notes = kept.part<NoteDraft>("note");
  /** Calls whose cards the one who is logged in put away. */
  const dismissed = ref<string[]>([]);
  const dismissedKey = (staffNo: string) => `${DISMISSED_KEY}.${staffNo}`;
  watch(
    () => session.operator?.staff_no,
    (staffNo) => {
      dismissed.value = staffNo ? readIds(dismissedKey(staffNo)) : [];
    },
    { immediate: true, flush: "sync" },
  );
  /** The card into which somebody types: nothing moves it away from under the hands. */
  const held = ref<string | null>(null);
  /** The card under the pointer; "" when that is beside the cards, null when it is not at the stack. */
  const pointed = ref<string | null>(null);
  /** A hand is at the cards: they stay as and where they are. */
  const steady = computed(() => pointed.value !== null || (held.value !== null && cards.has(held.value)));
  /** Cards that somebody opened again, and when: they stay until they are put away. */
  const asked = reactive(new Map<string, number>());
  let timesAsked = 0;
  let lastOrder: string[] = [];

  calls.keep(() => [...cards.values()].flatMap((card) => [card.callId, ...card.historyIds]));
  const isRunning = (callId: string) => calls.known.get(callId)?.state !== "ended";

  const isMine = (card: PopupCardData) => card.taker !== null && card.taker.staffNo === session.operator?.staff_no;
  const hasText = (callId: string) =>
    notes.has(callId) || Object.values(drafts.get(callId) ?? {}).some((text) => text.trim());
  /** A colleague has taken the call. The card waits unseen, for it may be given back; with typed text it stays. */
  const isClosed = (card: PopupCardData) => card.taker?.said === true && !isMine(card) && !hasText(card.callId);

  /** One's own: taken by the one who is logged in, or noted. */
  const isOwn = (card: PopupCardData) =>
    isMine(card) ||
    card.notes.some((note) => note.call_id === card.callId && note.author === session.operator?.staff_no);

  /** The cards on the screen: running calls first and one's own on top, unless a hand is at them. */
  const stack = computed(() => {
    const shown = [...cards.values()].filter((card) => !isClosed(card));
    const standings = shown.map((card) => ({
      callId: card.callId,
      running: isRunning(card.callId),
      mine: isOwn(card) || hasText(card.callId),
      asked: asked.get(card.callId) ?? 0,
    }));
    lastOrder = orderOf(standings, lastOrder, { held: held.value, pointed: pointed.value });
    return lastOrder.flatMap((id) => cards.get(id) ?? []);
  });
  const finished = computed(() => stack.value.filter((card) => !isRunning(card.callId)));
  /** The finished ones that can be put away at once: nothing was typed into them. */
  const puttable = computed(() => finished.value.filter((card) => !hasText(card.callId)));
  const ringing = computed(() =>
    stack.value.flatMap((card) => {
      const call = calls.known.get(card.callId);
      return call?.state === "ringing" ? [call] : [];
    }),
  );
  /** Number of the call that rings now, for the window's title. */
  const ringingNumber = computed(() => (ringing.value[0] ? (partyNumber(ringing.value[0]) ?? "") : null));

  /** Shows a pop-up. The same call never gets a second card, nor one that was put away a new one. */
  function take(popup: Popup & Partial<DeskPopup>): void {
    calls.arrive(popup.call);
    for (const call of popup.history) calls.put(call);
    if (dismissed.value.includes(popup.call.id)) return;
    const handler = popup.call.handled_by;
    const taker = handler === null ? null : { staffNo: handler, name: "", said: false };
    const old = cards.get(popup.call.id);
    cards.set(popup.call.id, {
      callId: popup.call.id,
      customers: popup.customers,
      rows: popup.rows,
      offersNewCustomer: popup.offers_new_customer,
      historyIds: popup.history.map((call) => call.id).filter((id) => id !== popup.call.id),
      taker: old?.taker ?? taker,
      offersNote: popup.offers_note ?? false,
      notes: popup.communications ?? [],
      handedBy: popup.handed_by ?? null,
      url: popup.url ?? null,
      seen: old?.seen ?? false,
    });
    for (const card of cards.values()) if (isClosed(card) && !isRunning(card.callId)) cards.delete(card.callId);
    if (!steady.value) makeRoom();
  }
  watch(steady, (still) => still || makeRoom());

  function makeRoom(): void {
    const over = puttable.value
      .filter((card) => !asked.has(card.callId))
      .sort((one, two) => (one.callId < two.callId ? 1 : -1));
    for (const own of [true, false]) {
      const alike = over.filter((card) => isOwn(card) === own);
      for (const card of alike.slice(FINISHED_KEPT)) putAway(card.callId);
    }
  }

  function putAway(callId: string): void {
    cards.delete(callId);
    asked.delete(callId);
    if (!hasText(callId)) drafts.delete(callId); // a form that was opened and left empty
    dismissed.value = [callId, ...dismissed.value].slice(0, DISMISSED_KEPT);
    const staffNo = session.operator?.staff_no;
    if (staffNo) globalThis.sessionStorage?.setItem(dismissedKey(staffNo), JSON.stringify(dismissed.value));
  }

  /** Puts a card away, with what was typed into it. */
  function dismiss(callId: string): void {
    see(callId);
    drafts.delete(callId);
    notes.delete(callId);
    putAway(callId);
  }

  function dismissFinished(): void {
    for (const card of puttable.value) {
      see(card.callId);
      putAway(card.callId);
    }
  }

  /** Somebody looks at the card: it rings no more, here and at the other clients of the same person. */
  function see(callId: string): void {
    const card = cards.get(callId);
    if (!card || card.seen) return;
    card.seen = true;
    acknowledgePopup(callId).catch(() => undefined); // the other clients ring on for a moment, nothing else
  }

  /** Seen at another client. */
  function noteSeen(callId: string): void {
    const card = cards.get(callId);
    if (card) card.seen = true;
  }

  const openKey = () => `${OPEN_KEY}.${session.operator?.staff_no ?? ""}`;
  watch(
    () => [...cards.keys()],
    (ids) => {
      if (session.operator) globalThis.sessionStorage?.setItem(openKey(), JSON.stringify(ids));
    },
  );

  /** The cards that stood here before the page was loaded anew; asked before the first one comes. */
  const openBefore = () => readIds(openKey());

  /** They are there again, and those into which something was typed. */
  async function reopen(open: string[]): Promise<void> {
    const typed = [...drafts.ids(), ...notes.ids()].filter(hasText);
    for (const callId of new Set([...open, ...typed])) {
      if (cards.has(callId) || (dismissed.value.includes(callId) && !hasText(callId))) continue;
      dismissed.value = dismissed.value.filter((id) => id !== callId);
      const popup = await readPopup(callId).catch(() => null);
      if (popup && !cards.has(callId)) take(popup);
    }
  }

  /**
   * Shows the card of an earlier call once more, above the other finished ones. Throws ApiError: it was never shown to
   * the one who asks.
   */
  async function showAgain(callId: string): Promise<void> {
    const popup = await readPopup(callId);
    timesAsked += 1;
    asked.set(callId, timesAsked);
    dismissed.value = dismissed.value.filter((id) => id !== callId);
    take(popup);
  }

  /** Hands the card to a colleague. Throws ApiError. */
  async function handOn(callId: string, staffNo: string): Promise<void> {
    see(callId);
    await handPopup(callId, staffNo);
  }

  /** A note was saved: the customer's last records have it on top. */
  function takeNote(callId: string, note: CardNote): void {
    const card = cards.get(callId);
    if (card) card.notes = [note, ...card.notes.filter((other) => other.id !== note.id)];
  }

  /** Somebody took a call: their card says so, and those of the others close. */
  function noteTaken(callId: string, staffNo: string, name: string): void {
    const card = cards.get(callId);
    if (!card) return;
    card.taker = { staffNo, name, said: true };
    card.seen ||= isMine(card);
  }

  /** The taking was undone: the cards are open again. */
  function noteReleased(callId: string): void {
    const card = cards.get(callId);
    if (card) card.taker = null;
  }

  /** A colleague passes on a card that was here already: it is on the screen again, whoever took the call. */
  function noteHanded(callId: string, by = ""): void {
    const card = cards.get(callId);
    if (!card) return;
    if (card.taker) card.taker = { ...card.taker, said: false };
    card.handedBy = by || card.handedBy;
    card.seen = false;
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

  /** What was typed stays: it is not of the cards but of who typed it. */
  function clear(): void {
    cards.clear();
    asked.clear();
    held.value = null;
    pointed.value = null;
  }

  return {
    cards,
    drafts,
    notes,
    held,
    pointed,
    steady,
    asked,
    stack,
    finished,
    puttable,
    hasText,
    see,
    noteSeen,
    openBefore,
    reopen,
    showAgain,
    handOn,
    takeNote,
    ringing,
    ringingNumber,
    isRunning,
    isMine,
    isOwn,
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
