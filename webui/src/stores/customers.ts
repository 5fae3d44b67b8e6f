/** Customers as they are typed, saved and deleted; the lists that show them follow. */

import { defineStore } from "pinia";
import { shallowRef } from "vue";
import * as api from "@/api/endpoints";
import { CUSTOMER_TEXTS, type Customer, type CustomerDraft } from "@/api/types";
import { plainNumber } from "@/text/phoneNumber";
import { useKeptStore } from "./kept";
import { usePopupsStore } from "./popups";

export function emptyDraft(): CustomerDraft {
  const texts = Object.fromEntries(CUSTOMER_TEXTS.map((key) => [key, ""])) as Record<
    (typeof CUSTOMER_TEXTS)[number],
    string
  >;
  return { ...texts, tags: [], custom: {}, next_contact_at: null, phones: [{ label: "", number: "" }] };
}

/** What the form shows of a customer. */
export function draftOf(customer: Customer): CustomerDraft {
  const phones = customer.phones.map((phone) => ({ label: phone.label ?? "", number: phone.number }));
  const draft = emptyDraft();
  for (const key of CUSTOMER_TEXTS) draft[key] = customer[key] ?? "";
  return {
    ...draft,
    tags: [...(customer.tags ?? [])],
    custom: { ...customer.custom },
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
  const typed = useKeptStore().part<{ draft: string }>("customer");
  const keyOf = (customer: Customer | null) => customer?.id ?? "new";
  const begun = (customer: Customer | null) => (customer ? draftOf(customer) : emptyDraft());

  /** What somebody typed about a customer (null: a new one) and did not save yet, else what there is. */
  function draftFor(customer: Customer | null): CustomerDraft {
    const fresh = begun(customer);
    const kept = typed.get(keyOf(customer));
    if (!kept) return fresh;
    const draft = { ...fresh, ...(JSON.parse(kept.draft) as Partial<CustomerDraft>) };
    return draft.changed_at === fresh.changed_at ? draft : fresh; // somebody else has changed it meanwhile
  }

  /** Keeps what is typed until it is saved or dropped. */
  function keep(customer: Customer | null, draft: CustomerDraft): void {
    const body = JSON.stringify(draft);
    if (body === JSON.stringify(begun(customer))) typed.delete(keyOf(customer));
    else typed.set(keyOf(customer), { draft: body });
  }
  const drop = (customer: Customer | null) => typed.delete(keyOf(customer));

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
  }

  return { saved, save, draftFor, keep, drop, clear };
});
