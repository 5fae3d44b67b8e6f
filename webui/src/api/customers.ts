/** What the HTTP API says about customers besides themselves: the office's own fields, duplicates, what happened. */

import type { Task } from "./deskTypes";
import { request } from "./http";
import type { Communication, Duplicate } from "./officeTypes";
import type { Call } from "./types";

export const FIELD_TYPES = ["text", "number", "date", "choice", "yes_no"] as const;
export type FieldType = (typeof FIELD_TYPES)[number];

/** A field of the office's own. A removed one takes no values any more; those that are there stay. */
export interface CustomField {
  id: number;
  name_zh: string;
  name_en: string;
  type: FieldType;
  choices: string[];
  required: boolean;
  position: number;
  removed: boolean;
}

/** What can be changed of a field; its type is set once. */
export type FieldChange = Pick<CustomField, "name_zh" | "name_en" | "choices" | "required">;

export const readCustomFields = async () =>
  (await request<{ fields: CustomField[] }>("GET", "/custom-fields", { query: { removed: true } })).fields;
export const addCustomField = (field: FieldChange & { type: FieldType }) =>
  request<CustomField>("POST", "/custom-fields", { body: field });
export const changeCustomField = (id: number, change: FieldChange) =>
  request<CustomField>("PATCH", `/custom-fields/${id}`, { body: change });
export const removeCustomField = (id: number) => request<void>("DELETE", `/custom-fields/${id}`);
export const orderCustomFields = (ids: number[]) => request<unknown>("PUT", "/custom-fields/order", { body: { ids } });

/** Customers in scope who are perhaps the one that is being typed in. */
export const findDuplicates = async (typed: { name: string; company: string; numbers: string[] }) =>
  (await request<{ duplicates: Duplicate[] }>("POST", "/customers/duplicates", { body: typed })).duplicates;

/** One thing that happened with a customer; the field that `kind` names is there. */
export type TimelineEntry = { at: string } & (
  | { kind: "call"; call: Call }
  | { kind: "communication"; communication: Communication }
  | { kind: "task"; task: Task }
);
export const readTimeline = (id: string, limit: number, before?: string) =>
  request<{ entries: TimelineEntry[]; next: string | null }>("GET", `/customers/${id}/timeline`, {
    query: { limit, before },
  });

export interface HistoryEntry {
  at: string;
  by: string;
  action: string;
  changes: { field: string; before: unknown; after: unknown }[];
}
export const readHistory = (id: string, limit: number, after?: string) =>
  request<{ entries: HistoryEntry[]; next: string | null }>("GET", `/customers/${id}/history`, {
    query: { limit, after },
  });
