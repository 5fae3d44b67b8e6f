/** The customer list as searched, and the draft in the form. */

import { defineStore } from "pinia";
import { reactive, ref } from "vue";
import * as api from "@/api/endpoints";
import type { Customer, CustomerDraft } from "@/api/types";
import { plainNumber } from "@/text/phoneNumber";
import { usePopupsStore } from "./popups";

export function emptyDraft(): CustomerDraft {
  return { name: "", company: "", title: "", category: "", level: "", note: "", phones: [{ label: "", number: "" }] };
}

/** What the form shows of a customer. */
export function draftOf(customer: Customer): CustomerDraft {
  const phones = customer.phones.map((phone) => ({ label: phone.label ?? "", number: phone.number }));
  return {
    name: customer.name,
    company: customer.company ?? "",
    title: customer.title ?? "",
    category: customer.category ?? "",
    level: customer.level ?? "",
    note: customer.note ?? "",
    phones: phones.length ? phones : [{ label: "", number: "" }],
  };
}

/** The draft as it is sent: trimmed, without empty phones. */
export function cleanDraft(draft: CustomerDraft): CustomerDraft {
  const phones = draft.phones
    .map((phone) => ({ label: phone.label.trim(), number: plainNumber(phone.number) }))
    .filter((phone) => phone.number);
  const trimmed = { ...draft, phones };
  for (const key of ["name", "company", "title", "category", "level", "note"] as const)
    trimmed[key] = draft[key].trim();
  return trimmed;
}

export const useCustomersStore = defineStore("customers", () => {
  const popups = usePopupsStore();
  const items = ref<Customer[]>([]);
  const next = ref<string | number | null>(null);
  const search = ref("");
  const loading = ref(false);
  const failed = ref(false);
  const draft = reactive<CustomerDraft>(emptyDraft());
  let turn = 0;

  async function load(after?: string | number): Promise<void> {
    turn += 1;
    const mine = turn;
    loading.value = true;
    try {
      const answer = await api.readCustomers({ q: search.value.trim(), limit: 100, after });
      if (mine !== turn) return;
      items.value = after === undefined ? answer.customers : [...items.value, ...answer.customers];
      next.value = answer.next;
      failed.value = false;
    } catch {
      if (mine === turn) failed.value = true;
    } finally {
      if (mine === turn) loading.value = false;
    }
  }

  async function loadMore(): Promise<void> {
    if (next.value !== null && !loading.value) await load(next.value);
  }

  async function save(id: Customer["id"] | null, fresh: CustomerDraft): Promise<Customer> {
    const clean = cleanDraft(fresh);
    const saved = id === null ? await api.addCustomer(clean) : await api.changeCustomer(id, clean);
    popups.takeCustomer(saved);
    void load();
    return saved;
  }

  async function remove(id: Customer["id"]): Promise<void> {
    await api.deleteCustomer(id);
    items.value = items.value.filter((customer) => customer.id !== id);
    popups.dropCustomer(id);
  }

  function clear(): void {
    items.value = [];
    next.value = null;
    search.value = "";
    Object.assign(draft, emptyDraft());
  }

  return { items, next, search, loading, failed, draft, load, loadMore, save, remove, clear };
});
