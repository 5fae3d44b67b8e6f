import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { effectScope } from "vue";
import { useCallHoldsStore } from "@/stores/callHolds";
import { useCallsStore } from "@/stores/calls";
import { deleteAll } from "@/stores/deletions";
import { useHeldAmong } from "@/stores/heldAmong";
import { tellOffice } from "@/stores/officeNews";
import { useSessionStore } from "@/stores/session";
import { cardName } from "@/text/cardName";
import { joined } from "@/text/joined";
import { aCall } from "./samples";

const HOLD = {
  id: "h1",
  kind: "call",
  subject: "c1",
  reason: "投诉",
  set_by: "1000",
  set_at: "2026-11-23T08:00:00.000Z",
};

function answer(holds: object[] | null) {
  vi.stubGlobal("fetch", async () => {
    if (holds === null) throw new TypeError("away");
    return Response.json({ holds });
  });
}

describe("holds of calls", () => {
  beforeEach(() => setActivePinia(createPinia()));

  it("come with a page of calls, which also tells of those without any", () => {
    const holds = useCallHoldsStore();
    holds.take(["c1", "c2"], ["c1"]);
    expect([holds.isHeld("c1"), holds.isHeld("c2"), holds.isHeld("c3")]).toEqual([true, false, false]);
    holds.take(["c1"], []);
    expect(holds.isHeld("c1")).toBe(false);
  });

  it("are known with their reason once somebody looks, and gone when the last is lifted", async () => {
    const holds = useCallHoldsStore();
    answer([HOLD]);
    await holds.load("c1");
    expect(holds.of("c1").map((one) => one.reason)).toEqual(["投诉"]);
    expect(holds.isHeld("c1")).toBe(true);
    answer(null);
    await holds.load("c1");
    expect([holds.failed.has("c1"), holds.isHeld("c1")]).toEqual([true, true]);
    answer([]);
    await holds.load("c1");
    expect([holds.failed.has("c1"), holds.isHeld("c1")]).toEqual([false, false]);
  });

  it("stand at once where somebody has just set them", async () => {
    const holds = useCallHoldsStore();
    answer([]);
    await holds.load("c1");
    answer([HOLD]);
    await holds.holdNow(["c1", "c2"]);
    expect([holds.isHeld("c1"), holds.isHeld("c2"), holds.of("c1").length]).toEqual([true, true, 1]);
  });
});

describe("a hold that somebody else sets or lifts", () => {
  beforeEach(() => setActivePinia(createPinia()));
  const told = (call_id: string | null) => tellOffice({ kind: "hold_changed", at: "", call_id, data: {} });
  const settle = () => new Promise((resolve) => setTimeout(resolve));

  it("is seen on a call that is shown, and asked for of no other", async () => {
    const holds = useCallHoldsStore();
    useCallsStore().put(aCall("c1"));
    answer([HOLD]);
    told("c1");
    told("c2");
    await settle();
    expect([holds.isHeld("c1"), holds.isHeld("c2")]).toEqual([true, false]);
    answer([]);
    told(null);
    await settle();
    expect([holds.isHeld("c1"), holds.of("c1")]).toEqual([false, []]);
  });

  it("is looked for once for all calls of a customer or number, by who manages holds", async () => {
    useSessionStore().take({ operator: { permissions: ["hold_manage"] }, csrf: "" } as never);
    const holds = useCallHoldsStore();
    const asked: string[] = [];
    let held = [aCall("c1"), aCall("c9")];
    vi.stubGlobal("fetch", async (url: string) => {
      asked.push(url);
      return Response.json({ calls: held, next: null, tags: {}, held: [] });
    });
    const scope = effectScope();
    scope.run(() =>
      useHeldAmong(
        () => ({ customer: "7" }),
        () => ["c1", "c2"],
      ),
    );
    await settle();
    expect(asked).toEqual(["/api/v1/calls?customer=7&held=true&limit=500"]);
    expect(["c1", "c2", "c9"].map(holds.isHeld)).toEqual([true, false, false]);
    held = [aCall("c2")];
    told(null);
    await settle();
    expect(["c1", "c2"].map(holds.isHeld)).toEqual([false, true]);
    scope.stop();
  });
});

describe("a deletion that a hold stops", () => {
  it("is told as that", async () => {
    vi.useFakeTimers();
    vi.stubGlobal("fetch", async (url: string) =>
      Response.json(
        url.includes("/orders/")
          ? { id: 1, verb: "delete", state: "refused", message: "in any words", error_code: "held" }
          : { order: 1 },
      ),
    );
    const found = deleteAll(["r1"], "why", () => undefined);
    await vi.runAllTimersAsync();
    expect(await found).toMatchObject({ refused: 1, why: "held" });
    vi.useRealTimers();
  });
});

describe("names in a line", () => {
  it("stand as the language writes them", () => {
    expect([joined([2, 3], "en"), joined([2, 3], "zh-CN")]).toEqual(["2, 3", "2、3"]);
    expect(cardName({ model: "Emulated line card", driver: "exchange_card" }, (key) => key)).toBe("lines.emulatedCard");
    expect(cardName({ model: "", driver: "serial_card" }, (key) => key)).toBe("serial_card");
  });
});
