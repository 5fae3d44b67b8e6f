import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { CustomField, HistoryEntry, TimelineEntry } from "@/api/customers";
import * as api from "@/api/endpoints";
import { woven } from "@/stores/customerStory";
import { emptyDraft, useCustomersStore } from "@/stores/customers";
import { fieldName, lackingFields } from "@/stores/customFields";
import { changedFields } from "@/text/customerChanges";
import { aCall, aCustomer } from "./samples";

vi.mock("@/api/endpoints");

const at = (minute: number) => `2026-11-03T08:${String(minute).padStart(2, "0")}:00.000Z`;
const call = (minute: number): TimelineEntry => ({
  kind: "call",
  at: at(minute),
  call: aCall(`c${minute}`),
});
const change = (minute: number): HistoryEntry => ({
  at: at(minute),
  by: "3001",
  action: "customer.change",
  changes: [],
});
const minutes = (entries: { at: string }[]) => entries.map((entry) => Number(entry.at.slice(14, 16)));

describe("a customer's story", () => {
  it("puts both sources into one order, newest first", () => {
    const { entries, reads } = woven(
      { entries: [call(9), call(3)], next: null },
      { entries: [change(7), change(1)], next: null },
    );
    expect(minutes(entries)).toEqual([9, 7, 3, 1]);
    expect(reads).toBeNull();
  });

  it("shows nothing older than what one source may still bring, and reads that one on", () => {
    const { entries, reads } = woven(
      { entries: [call(9), call(8)], next: "more" },
      { entries: [change(9), change(7), change(1)], next: null },
    );
    expect(minutes(entries)).toEqual([9, 9, 8]);
    expect(reads).toBe("happened");
    expect(woven({ entries: [call(9), call(2)], next: "more" }, { entries: [change(5)], next: "more" }).reads).toBe(
      "changed",
    );
  });

  it("tells which words changed, numbers and times as people write them", () => {
    const words = changedFields(
      [
        { field: "name", before: "Li", after: "Li Lei" },
        { field: "phones", before: null, after: [{ label: "office", number: "010 1234", kind: "phone" }] },
        { field: "custom.4", before: true, after: null },
        { field: "note", before: null, after: "" },
        { field: "__proto__", before: 1, after: 2 },
      ],
      "en",
    );
    expect(words).toEqual([
      { field: "name", before: "Li", after: "Li Lei" },
      { field: "phones", before: "", after: "office 010 1234" },
      { field: "custom.4", before: "✓", after: "" },
    ]);
  });
});

describe("the office's own fields", () => {
  const field = (change: Partial<CustomField>): CustomField => ({
    id: 4,
    name_zh: "合同号",
    name_en: "",
    type: "text",
    choices: [],
    required: true,
    position: 1,
    removed: false,
    ...change,
  });

  it("have a name in any language", () => {
    expect(fieldName(field({}), "en")).toBe("合同号");
    expect(fieldName(field({ name_en: "Contract" }), "en")).toBe("Contract");
  });

  it("are needed when they are required, and no is a value", () => {
    expect(lackingFields([field({})], {})).toHaveLength(1);
    expect(lackingFields([field({})], { 4: "" })).toHaveLength(1);
    expect(lackingFields([field({})], { 4: "A-1" })).toHaveLength(0);
    expect(lackingFields([field({ type: "yes_no" })], { 4: false })).toHaveLength(0);
    expect(lackingFields([field({ required: false })], {})).toHaveLength(0);
  });
});

describe("what is typed about a customer", () => {
  beforeEach(() => setActivePinia(createPinia()));

  it("is kept until it is saved or dropped, each customer's own", () => {
    const store = useCustomersStore();
    const one = { ...aCustomer("1", "13800138000"), name: "Li" };
    store.keep(null, { ...emptyDraft(), name: "Wang" });
    store.keep(one, { ...store.draftFor(one), name: "Li Lei" });
    expect(store.draftFor(null).name).toBe("Wang");
    expect(store.draftFor(one).name).toBe("Li Lei");
    store.drop(one);
    expect(store.draftFor(one).name).toBe("Li");
    store.keep(null, emptyDraft());
    expect(store.draftFor(null)).toEqual(emptyDraft());
  });

  it("gives way to what somebody else has saved meanwhile", () => {
    const store = useCustomersStore();
    const one = { ...aCustomer("1", "13800138000"), name: "Li" };
    store.keep(one, { ...store.draftFor(one), name: "Li Lei" });
    expect(store.draftFor({ ...one, name: "Li Si", changed_at: at(59) }).name).toBe("Li Si");
  });

  it("is sent with the values of the office's own fields", async () => {
    vi.mocked(api.addCustomer).mockResolvedValue(aCustomer("9", "13800138000"));
    await useCustomersStore().save(null, { ...emptyDraft(), name: "Wang", custom: { 4: "A-1", 5: null } });
    expect(api.addCustomer).toHaveBeenCalledWith(expect.objectContaining({ custom: { 4: "A-1", 5: null } }));
  });
});
