import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it } from "vitest";
import { useCallsStore } from "@/stores/calls";
import { usePopupsStore } from "@/stores/popups";
import { aCall, aCustomer, aPopup } from "./samples";

beforeEach(() => setActivePinia(createPinia()));
const ids = () => usePopupsStore().stack.map((card) => card.callId);

describe("the pop-ups", () => {
  it("show exactly one card per call, whatever the stream repeats", () => {
    const popups = usePopupsStore();
    popups.take(aPopup(aCall("c1")));
    popups.take(aPopup(aCall("c1")));
    popups.take(aPopup(aCall("c2")));
    expect(ids()).toEqual(["c2", "c1"]);
  });

  it("stay away once put away, also when the snapshot brings them again", () => {
    const popups = usePopupsStore();
    popups.take(aPopup(aCall("c1")));
    popups.dismiss("c1");
    popups.take(aPopup(aCall("c1")));
    expect(ids()).toEqual([]);
  });

  it("follow their call and put running calls first", () => {
    const popups = usePopupsStore();
    const calls = useCallsStore();
    popups.take(aPopup(aCall("c1")));
    popups.take(aPopup(aCall("c2")));
    expect(popups.ringing.map((call) => call.id)).toEqual(["c2", "c1"]);
    expect(popups.ringingNumber).toBe("13800138000");
    calls.arrive(aCall("c2", { state: "ended", result: "missed" }));
    expect(ids()).toEqual(["c1", "c2"]);
    expect(popups.finished.map((card) => card.callId)).toEqual(["c2"]);
    calls.arrive(aCall("c1", { state: "talking" }));
    expect(popups.ringingNumber).toBeNull();
    popups.dismissFinished();
    expect(ids()).toEqual(["c1"]);
  });

  it("keep a card with typed text however many finished calls pile up", () => {
    const popups = usePopupsStore();
    const id = (index: number) => `c${String(index).padStart(3, "0")}`;
    for (let index = 0; index < 40; index += 1) {
      popups.take(aPopup(aCall(id(index), { state: "ended", result: "missed" })));
      if (index === 0) popups.drafts.set(id(0), { name: "Wang", company: "", note: "", custom: "" });
    }
    expect(ids()).toContain(id(0));
    expect(ids()).toContain(id(39));
    expect(ids()).not.toContain(id(1));
    expect(ids().length).toBeLessThan(20);
  });

  it("list earlier calls without the call itself", () => {
    const popups = usePopupsStore();
    const earlier = aCall("c0", { state: "ended", result: "answered" });
    popups.take(aPopup(aCall("c1"), { history: [aCall("c1"), earlier] }));
    expect(popups.stack[0]?.historyIds).toEqual(["c0"]);
    expect(useCallsStore().known.get("c0")?.result).toBe("answered");
    expect(useCallsStore().arrived).toEqual(["c1"]);
  });

  it("and lists follow a customer who is changed or deleted", () => {
    const popups = usePopupsStore();
    const calls = useCallsStore();
    const before = aCustomer("k1", "138 0013 8000"); // typed in another spelling than the exchange sends
    const named = [{ id: "k1", name: before.name, company: before.company }];
    popups.take(aPopup(aCall("c1", { customers: named }), { customers: [before], offers_new_customer: false }));
    popups.takeCustomer({ ...before, name: "Li" });
    expect(popups.stack[0]?.customers.map((item) => item.name)).toEqual(["Li"]);
    expect(calls.known.get("c1")?.customers.map((item) => item.name)).toEqual(["Li"]);
    popups.dropCustomer("k1");
    expect(popups.stack[0]?.customers).toEqual([]);
    expect(calls.known.get("c1")?.customers).toEqual([]);
  });

  it("show a customer who was just added on every card of the number, and drop the form", () => {
    const popups = usePopupsStore();
    popups.take(aPopup(aCall("c1")));
    popups.take(aPopup(aCall("c2")));
    popups.take(aPopup(aCall("c3", { caller_number: "02112345678" })));
    popups.drafts.set("c1", { name: "Wang", company: "", note: "", custom: "" });
    popups.takeCustomer(aCustomer("k1", "13800138000"));
    popups.takeCustomer(aCustomer("k1", "13800138000"));
    const card = (callId: string) => popups.stack.find((item) => item.callId === callId);
    expect(card("c1")?.customers.map((item) => item.id)).toEqual(["k1"]);
    expect(card("c2")?.offersNewCustomer).toBe(false);
    expect(card("c3")?.customers).toEqual([]);
    expect(popups.drafts.has("c1")).toBe(false);
  });
});
