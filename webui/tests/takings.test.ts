import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { OfficeEvent } from "@/api/types";
import { useCallsStore } from "@/stores/calls";
import { useLiveStore } from "@/stores/live";
import { usePopupsStore } from "@/stores/popups";
import { useSessionStore } from "@/stores/session";
import { aCall, aCustomer, aPopup } from "./samples";

let asked: string[];
let takenBy: string | null;

beforeEach(() => {
  setActivePinia(createPinia());
  asked = [];
  takenBy = null;
  const operator = {
    staff_no: "1001",
    name: "王芳",
    level: "ordinary" as const,
    group: 1,
    channels: [1],
    permissions: [],
  };
  useSessionStore().take({ operator, must_change_password: false, csrf: "t", time_zone: "" });
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    asked.push(`${init.method} ${url.replace("/api/v1", "")}`);
    if (init.method === "DELETE") return new Response(null, { status: 204 });
    if (init.method === "GET") return Response.json(aPopup(aCall("c1", { handled_by: takenBy })));
    if (takenBy) return Response.json({ error: { code: "taken", message: "1002 has taken it" } }, { status: 409 });
    return Response.json({ call_id: "c1", staff_no: "1001", at: "2026-11-21T09:05:02.000Z", how: "taken" });
  });
});
afterEach(() => vi.unstubAllGlobals());

const ids = () => usePopupsStore().stack.map((card) => card.callId);
const mine = () => usePopupsStore().stack.map((one) => usePopupsStore().isMine(one));
const card = () => usePopupsStore().cards.get("c1");
const draft = { name: "Wang", company: "", note: "", custom: "" };
const colleague = { staff_no: "1002", name: "李雷" };

function tell(kind: string, data: OfficeEvent["data"] = colleague, call_id: string | null = "c1") {
  useLiveStore().take({ type: "office", data: { kind, at: "2026-11-21T09:05:02.000Z", call_id, data } });
}

describe("a call that is taken", () => {
  it("closes on the others' screens, rings no more in the title, and opens again when it is given back", () => {
    const popups = usePopupsStore();
    popups.take(aPopup(aCall("c1")));
    popups.take(aPopup(aCall("c2", { caller_number: "02112345678" })));
    tell("call_taken");
    expect(ids()).toEqual(["c2"]);
    expect(popups.ringingNumber).toBe("02112345678");
    popups.take(aPopup(aCall("c1"))); // repeated by the stream
    expect(ids()).toEqual(["c2"]);
    tell("call_released");
    expect(ids()).toEqual(["c2", "c1"]);
    expect(card()?.taker).toBeNull();
  });

  it("keeps the card into which somebody types, says who took it, and closes it once the text is saved", () => {
    const popups = usePopupsStore();
    popups.take(aPopup(aCall("c1")));
    popups.drafts.set("c1", { ...draft });
    tell("call_taken");
    expect(ids()).toEqual(["c1"]);
    expect(card()?.taker).toEqual({ staffNo: "1002", name: "李雷", said: true });
    useCallsStore().arrive(aCall("c1", { state: "ended", result: "answered" }));
    popups.take(aPopup(aCall("c2")));
    expect(popups.drafts.get("c1")).toEqual(draft);
    expect(ids()).toEqual(["c2", "c1"]);
    popups.takeCustomer(aCustomer("k1", "13800138000"));
    expect(ids()).toEqual(["c2"]);
  });

  it("stays with who took it, at every client of theirs", () => {
    const popups = usePopupsStore();
    popups.take(aPopup(aCall("c1")));
    tell("call_taken", { staff_no: "1001", name: "王芳" });
    expect(ids()).toEqual(["c1"]);
    expect(mine()).toEqual([true]);
    tell("call_released", { staff_no: "1001", name: "王芳" });
    expect(mine()).toEqual([false]);
  });

  it("is asked for, shown as one's own, and given back", async () => {
    const popups = usePopupsStore();
    popups.take(aPopup(aCall("c1")));
    await popups.takeOver("c1");
    expect(card()?.taker).toEqual({ staffNo: "1001", name: "王芳", said: true });
    expect(ids()).toEqual(["c1"]);
    await popups.giveBack("c1");
    expect(card()?.taker).toBeNull();
    expect(asked).toEqual(["POST /calls/c1/take", "DELETE /calls/c1/take"]);
  });

  it("says who was first when one comes too late", async () => {
    const popups = usePopupsStore();
    takenBy = "1002";
    popups.take(aPopup(aCall("c1")));
    popups.drafts.set("c1", { ...draft });
    await expect(popups.takeOver("c1")).rejects.toMatchObject({ status: 409, code: "taken" });
    expect(card()?.taker).toEqual({ staffNo: "1002", name: "", said: true });
    tell("call_taken");
    expect(card()?.taker?.name).toBe("李雷");
    popups.drafts.delete("c1");
    expect(ids()).toEqual([]);
  });

  it("shows who handles a call of the snapshot without closing its card: the box may have concluded that", () => {
    const popups = usePopupsStore();
    popups.take(aPopup(aCall("c1", { state: "talking", handled_by: "1002" })));
    expect(ids()).toEqual(["c1"]);
    expect(card()?.taker).toEqual({ staffNo: "1002", name: "", said: false });
  });

  it("comes back when the card is handed on to somebody who had it already", () => {
    const popups = usePopupsStore();
    popups.take(aPopup(aCall("c1")));
    tell("call_taken");
    tell("popup_handed", { by: "1002", name: "李雷", again: true });
    expect(ids()).toEqual(["c1"]);
    expect(card()?.taker?.name).toBe("李雷");
  });

  it("is forgotten after it ended, if its card was closed", () => {
    const popups = usePopupsStore();
    popups.take(aPopup(aCall("c1")));
    tell("call_taken");
    useCallsStore().arrive(aCall("c1", { state: "ended", result: "answered" }));
    expect(popups.finished).toEqual([]);
    popups.take(aPopup(aCall("c2")));
    expect([...popups.cards.keys()]).toEqual(["c2"]);
  });

  it("changes nothing here when the event is of another kind, or of a call without a card", () => {
    const popups = usePopupsStore();
    popups.take(aPopup(aCall("c1")));
    popups.drafts.set("c1", { ...draft });
    tell("call_taken", colleague, "c9");
    tell("popup_acknowledged", {});
    tell("agent_state", { staff_no: "1002", state: "away" }, null);
    expect([...popups.cards.keys()]).toEqual(["c1"]);
    expect(card()?.taker).toBeNull();
    expect(popups.drafts.get("c1")).toEqual(draft);
    expect(asked).toEqual([]); // nothing was read anew
  });
});
