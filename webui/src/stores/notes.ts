/** Notes on pop-up cards: typed while the call runs, saved as communication records that carry the call, once each. */

import { defineStore } from "pinia";
import { reactive } from "vue";
import { addNote, readNotesOf } from "@/api/desk";
import { ApiError } from "@/api/http";
import { correctCommunication } from "@/api/office";
import type { Communication } from "@/api/officeTypes";
import { useCallNotesStore } from "./callNotes";
import { type NoteDraft, usePopupsStore } from "./popups";
import { useSessionStore } from "./session";

/** True if the box may not have got it, or its answer was lost: it is tried again by itself. */
const isPassing = (error: unknown) =>
  error instanceof ApiError && (error.status === 0 || error.status === 401 || error.status >= 500);

export const useNotesStore = defineStore("notes", () => {
  const popups = usePopupsStore();
  const callNotes = useCallNotesStore();
  const session = useSessionStore();
  const saving = reactive(new Set<string>());
  /** Why a note was refused, by call. */
  const problems = reactive(new Map<string, unknown>());

  /** Whom the note is about: the one who was chosen, or the only one there is. */
  function customerOf(callId: string): string {
    const customers = popups.cards.get(callId)?.customers ?? [];
    const chosen = popups.notes.get(callId)?.customer ?? "";
    return customers.some((one) => one.id === chosen) ? chosen : (customers[0]?.id ?? chosen);
  }

  /** Changes the note as it is typed; an empty one is none. */
  function type(callId: string, change: Partial<NoteDraft>): void {
    const old = popups.notes.get(callId) ?? { text: "", customer: "", method: "", next: "", pending: "", sent: "" };
    const fresh = { ...old, ...change };
    problems.delete(callId);
    if (fresh.text || fresh.next || fresh.sent) popups.notes.set(callId, fresh);
    else popups.notes.delete(callId);
  }

  /**
   * Saves the note. When the box does not answer, it is kept and saved as soon as the box is there; what was perhaps
   * saved already is looked for first, so that no record is written twice.
   */
  async function save(callId: string): Promise<void> {
    const draft = popups.notes.get(callId);
    const customer = customerOf(callId);
    if (!draft?.text.trim() || !customer || saving.has(callId)) return;
    saving.add(callId);
    problems.delete(callId);
    try {
      const lost = draft.sent ? await findSent(callId, draft) : null;
      const text = draft.text.trim();
      popups.notes.set(callId, { ...draft, customer, pending: "1", sent: lost ? draft.sent : text });
      const saved = lost ? await corrected(lost, draft) : await send(callId, customer, draft);
      popups.notes.delete(callId);
      popups.takeNote(callId, { ...saved, customer_id: saved.customer_id ?? customer });
    } catch (error) {
      if (isPassing(error)) type(callId, { pending: "1" });
      else {
        type(callId, { pending: "", sent: "" });
        problems.set(callId, error);
      }
    } finally {
      saving.delete(callId);
    }
  }

  /** Saves the note with the call alone: it is about nobody who is known. */
  async function saveAlone(callId: string): Promise<void> {
    const text = popups.notes.get(callId)?.text.trim();
    if (!text || saving.has(callId)) return;
    saving.add(callId);
    problems.delete(callId);
    try {
      await callNotes.load(callId); // one whose answer was lost is there
      const there = callNotes.of(callId).some((one) => one.author === session.operator?.staff_no && one.text === text);
      if (!there) await callNotes.add(callId, { text });
      popups.notes.delete(callId);
    } catch (error) {
      problems.set(callId, error);
    } finally {
      saving.delete(callId);
    }
  }

  function send(callId: string, customer: string, draft: NoteDraft): Promise<Communication> {
    return addNote({
      customer_id: customer,
      call_id: callId,
      content: draft.text.trim(),
      method: draft.method,
      ...(draft.next && { next_contact_at: draft.next }),
    });
  }

  /** The record that an attempt without an answer left behind. */
  async function findSent(callId: string, draft: NoteDraft): Promise<Communication | null> {
    const found = await readNotesOf(callId);
    return found.find((one) => one.author === session.operator?.staff_no && one.content === draft.sent) ?? null;
  }

  /** That record as it shall be: perhaps somebody typed on meanwhile. */
  function corrected(record: Communication, draft: NoteDraft): Promise<Communication> | Communication {
    const content = draft.text.trim();
    const next_contact_at = draft.next || null;
    if (content === record.content && next_contact_at === record.next_contact_at) return record;
    return correctCommunication(record.id, { content, next_contact_at });
  }

  /** The operator wants to type on instead of waiting. */
  const typeOn = (callId: string) => type(callId, { pending: "" });

  /** The box is there again: what waits is saved. */
  async function catchUp(): Promise<void> {
    for (const callId of popups.notes.ids()) if (popups.notes.get(callId)?.pending) await save(callId);
  }

  return { saving, problems, customerOf, type, save, saveAlone, typeOn, catchUp };
});
