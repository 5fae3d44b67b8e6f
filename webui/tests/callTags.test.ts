import { createPinia, disposePinia, getActivePinia, type Pinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { useCallTagsStore } from "@/stores/callTags";
import { tellOffice } from "@/stores/officeNews";

const api = vi.hoisted(() => ({ changeCallTags: vi.fn(), readCallTags: vi.fn(), readTagsInUse: vi.fn() }));
vi.mock("@/api/endpoints", () => api);

const told = (call_id: string | null) => tellOffice({ kind: "call_tags_changed", at: "", call_id, data: {} });

beforeEach(() => {
  setActivePinia(createPinia());
  vi.resetAllMocks();
  api.changeCallTags.mockImplementation(async (calls: string[]) => calls.length);
});
afterEach(() => disposePinia(getActivePinia() as Pinia));

describe("tags of calls", () => {
  it("come with a page of calls, which also tells of those without any", () => {
    const store = useCallTagsStore();
    store.take(["c1", "c2"], { c1: ["VIP"] });
    expect([store.of("c1"), store.of("c2"), store.known.has("c3")]).toEqual([["VIP"], [], false]);
  });

  it("are told as what changes, because a colleague may tag the same call", async () => {
    const store = useCallTagsStore();
    store.take(["c1"], { c1: ["a", "b"] });
    await store.set("c1", store.of("c1"), ["b", " late  delivery ", ""]);
    expect(api.changeCallTags.mock.calls).toEqual([[["c1"], ["late delivery"], ["a"]]]);
    expect(store.of("c1")).toEqual(["b", "late delivery"]);
    await store.set("c1", store.of("c1"), ["late delivery", "b"]);
    expect(api.changeCallTags).toHaveBeenCalledTimes(1);
  });

  it("stay as they were when the box refuses", async () => {
    const store = useCallTagsStore();
    store.take(["c1"], { c1: ["a"] });
    api.changeCallTags.mockRejectedValue(new Error("no"));
    await expect(store.set("c1", store.of("c1"), [])).rejects.toThrow("no");
    expect(store.of("c1")).toEqual(["a"]);
  });

  it("of many calls are changed as many at once as the box takes", async () => {
    const ids = Array.from({ length: 450 }, (_, n) => `c${n}`);
    expect(await useCallTagsStore().change(ids, ["x"], [])).toBe(450);
    expect(api.changeCallTags.mock.calls.map(([calls]) => calls.length)).toEqual([200, 200, 50]);
  });

  it("are read again when somebody else changed them, where they are shown", async () => {
    const store = useCallTagsStore();
    store.take(["c1"], {});
    api.readCallTags.mockResolvedValue(["new"]);
    told("c1");
    told("c2");
    told(null);
    await vi.waitFor(() => expect(store.of("c1")).toEqual(["new"]));
    expect(api.readCallTags.mock.calls).toEqual([["c1"]]);
  });
});
