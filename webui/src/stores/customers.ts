/** Customers as they are typed, saved and deleted; the lists that show them follow. */

import { defineStore } from "pinia";
import { reactive, shallowRef } from "vue";
import * as api from "@/api/endpoints";
import { CUSTOMER_TEXTS, type Customer, type CustomerDraft } from "@/api/types";
import { plainNumber } from "@/text/phoneNumber";
import { usePopupsStore } from "./popups";

export function emptyDraft(): CustomerDraft {
  const texts = Object.fromEntries(CUSTOMER_TEXTS.map((key) => [key, ""])) as Record<
    (typeof CUSTOMER_TEXTS)[number],
    string
  >;
  return { ...texts, tags: [], next_contact_at: null, phones: [{ label: "", number: "" }] };
}

/** What the form shows of a customer. */
export function draftOf(customer: Customer): CustomerDraft {
  const phones = customer.phones.map((phone) => ({ label: phone.label ?? "", number: phone.number }));
  const draft = emptyDraft();
  for (const key of CUSTOMER_TEXTS) draft[key] = customer[key] ?? "";
  return {
    ...draft,
    tags: [...(customer.tags ?? [])],
    next_contact_at: customer.next_contact_at ?? null,
    phones: phones.length ? phones : draft.phones,
    changed_at: customer.changed_at,
  };
}

/** The draft as it is sent: trimmed, without empty phones. */
export function cleanDraft(draft: CustomerDraft): CustomerDraft {
  const phones = draft.phones
    .map((phone) => ({ label: phone.label.trim(), number: plainNumber(phone.number) }))
    .filter((phone) => phone.number);
  const trimmed = { ...draft, phones };
  for (const key of CUSTOMER_TEXTS) trimmed[key] = draft[key].trim();
  return trimmed;
}

/** Whether there is enough to save. */
export const isComplete = (draft: CustomerDraft) =>
  Boolean(draft.name.trim() || draft.company.trim() || draft.phones.some((phone) => plainNumber(phone.number)));

export const useCustomersStore = defineStore("customers", () => {
  const popups = usePopupsStore();
  /** A new customer as typed so far: it outlives the form. */
  const draft = reactive<CustomerDraft>(emptyDraft());
  /** The last that was saved, for the lists. */
  const saved = shallowRef<Customer | null>(null);

  /** Adds a customer (`id` null) or changes one. Throws ApiError. */
  async function save(id: Customer["id"] | null, fresh: CustomerDraft): Promise<Customer> {
    const clean = cleanDraft(fresh);
    const answer = id === null ? await api.addCustomer(clean) : await api.changeCustomer(id, clean);
    popups.takeCustomer(answer);
    saved.value = answer;
    return answer;
  }

  function clear(): void {
    saved.value = null;
    Object.assign(draft, emptyDraft());
  }

  return { draft, saved, save, clear };
});
