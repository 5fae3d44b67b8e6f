/** What a card on the desk is, and what is typed into it. */

import type { CardNote } from "@/api/deskTypes";
import type { Customer } from "@/api/types";

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
  offersNote: boolean;
  /** The last communication records of the customers, newest first. */
  notes: CardNote[];
  /** The colleague who passed the card on. */
  handedBy: string | null;
  url: string | null;
  /** Somebody has looked at it, here or at another client of theirs. */
  seen: boolean;
}

/** A new customer as typed into a card; it survives every change of page and of the call. */
export type PopupDraft = {
  name: string;
  company: string;
  note: string;
  /** Values of the office's own fields as JSON by their id; empty while there are none. */
  custom: string;
};

/** A note as typed into a card. `pending`: to be saved as soon as the box answers; `sent`: what was on its way. */
export type NoteDraft = {
  text: string;
  customer: string;
  method: string;
  next: string;
  pending: string;
  sent: string;
};

/** Ids of calls that the tab keeps over a reload. */
export function readIds(key: string): string[] {
  try {
    return JSON.parse(globalThis.sessionStorage?.getItem(key) ?? "[]") as string[];
  } catch {
    return [];
  }
}
