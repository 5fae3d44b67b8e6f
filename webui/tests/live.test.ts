import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Channel, Popup } from "@/api/types";
import { useBoardStore } from "@/stores/board";
import { useCallsStore } from "@/stores/calls";
import { onReload, useLiveStore } from "@/stores/live";
import { usePopupsStore } from "@/stores/popups";
import { useSessionStore } from "@/stores/session";
import { useSticksStore } from "@/stores/sticks";
import { aCall, aPopup, aRecording } from "./samples";

const channel: Channel = {
  number: 1,
  name: "Front desk",
  group: 1,
  popup: true,
  line_kind: "exchange",
  enabled: true,
  card_id: "card-1",
  port: 0,
  simulated: true,
  line: "present",
  hook: "on",
  ringing: false,
  volts: 48,
  level_dbm0: -70,
  recording: false,
  call: null,
};

let opened: string[];
let snapshot: { position: string; popups: Popup[] };
let staffNo: string;
let away: boolean;
let csrf: string;
let plugged: string[];

beforeEach(() => {
  setActivePinia(createPinia());
  opened = [];
  snapshot = { position: "e1-7", popups: [] };
  staffNo = "1000";
  away = false;
  csrf = "t";
  plugged = [];
  vi.stubGlobal(
    "EventSource",
    class {
      readyState = 0;
      constructor(url: string) {
        opened.push(url);
      }
      addEventListener(): void {}
      close(): void {}
    },
  );
  vi.stubGlobal("fetch", async (url: string) => {
    const operator = { staff_no: staffNo, name: "", level: "super", group: 1, channels: [], permissions: [] };
    if (away) throw new TypeError("refused");
    if (url.endsWith("/session")) return Response.json({ operator, must_change_password: false, csrf });
    if (url.endsWith("/popups")) return Response.json(snapshot);
    if (url.endsWith("/channels")) return Response.json({ channels: [{ ...channel }] });
    if (url.endsWith("/drafts")) return Response.json({ drafts: [] });
    if (url.endsWith("/media"))
      return Response.json({ allowed: "all", known: [], media: plugged.map((id) => ({ id })) });
    return Response.json({ cards: [] });
  });
});
afterEach(() => {
  useLiveStore().stop();
  vi.unstubAllGlobals();
});

async function start() {
  await useSessionStore().resume();
  await useLiveStore().start();
  await new Promise((resolve) => setTimeout(resolve));
}

describe("the live desk", () => {
  it("shows the snapshot and opens the stream from its position", async () => {
    snapshot.popups = [aPopup(aCall("c1"))];
    await start();
    expect(opened).toEqual(["/api/v1/events?after=e1-7"]);
    expect(usePopupsStore().stack.map((card) => card.callId)).toEqual(["c1"]);
    expect(useBoardStore().sorted.map((item) => item.number)).toEqual([1]);
  });

  it("brings every event to its place", async () => {
    await start();
    const live = useLiveStore();
    const board = useBoardStore();
    live.take({ type: "call", data: aCall("c1", { caller_number: null }) });
    live.take({ type: "popup", data: aPopup(aCall("c1")) });
    live.take({ type: "popup", data: aPopup(aCall("c1")) });
    expect(board.callOf(1)?.caller_number).toBe("13800138000");
    expect(usePopupsStore().stack).toHaveLength(1);

    const { name, group, popup, card_id, port, simulated, call, ...reading } = channel;
    live.take({ type: "board", data: { channels: [{ ...reading, volts: 7, recording: true }] } });
    expect(board.channels.get(1)).toMatchObject({ volts: 7, recording: true, name: "Front desk" });
    live.take({ type: "line", data: { channel: 1, kind: "line_lost", at: "2026-11-21T09:06:00.000Z" } });
    expect(board.channels.get(1)?.line).toBe("lost");

    live.take({ type: "call", data: aCall("c1", { state: "ended", result: "answered" }) });
    expect(board.callOf(1)).toBeUndefined();
    live.take({ type: "recording", data: { call_id: "c1", recording: aRecording("r1", { state: "ready" }) } });
    expect(useCallsStore().known.get("c1")?.recordings[0]?.state).toBe("ready");
  });

  it("reads everything again after a reset", async () => {
    await start();
    let reloads = 0;
    const forget = onReload(() => {
      reloads += 1;
    });
    const live = useLiveStore();
    live.take({ type: "popup", data: aPopup(aCall("c1")) });
    snapshot.popups = [aPopup(aCall("c2"))];
    live.take({ type: "reset", data: { position: "e2-1" } });
    await new Promise((resolve) => setTimeout(resolve));
    forget();
    expect(reloads).toBe(1);
    expect(usePopupsStore().stack.map((card) => card.callId)).toEqual(["c2"]);
  });

  it("reads the sticks again after a reset and after a lost session, if somebody has looked at them", async () => {
    const sticks = useSticksStore();
    const live = useLiveStore();
    const ids = () => sticks.sticks.map(({ id }) => id);
    plugged = ["a"];
    await start();
    expect(sticks.loaded).toBe(false);
    await sticks.load();
    plugged = ["b"];
    live.take({ type: "reset", data: { position: "e2-1" } });
    await vi.waitFor(() => expect(ids()).toEqual(["b"]));
    live.stop();
    useSessionStore().lose();
    plugged = [];
    await start();
    await vi.waitFor(() => expect(ids()).toEqual([]));
  });

  it("goes on asking for the pop-ups after a reset while the box is away", async () => {
    await start();
    const live = useLiveStore();
    snapshot = { position: "e2-9", popups: [aPopup(aCall("c2"))] };
    away = true;
    live.take({ type: "reset", data: { position: "e2-1" } });
    await new Promise((resolve) => setTimeout(resolve));
    expect(live.state).toBe("reconnecting");
    away = false;
    await vi.waitFor(() => expect(usePopupsStore().stack.map((card) => card.callId)).toEqual(["c2"]), 5000);
    expect(opened.at(-1)).toBe("/api/v1/events?after=e2-9");
  });

  it("asks for the log-in when another tab has logged in somebody else", async () => {
    const page = Object.assign(new EventTarget(), { hidden: false });
    vi.stubGlobal("document", page);
    await start();
    page.dispatchEvent(new Event("visibilitychange"));
    await new Promise((resolve) => setTimeout(resolve));
    expect(useSessionStore().ready).toBe(true);
    staffNo = "1002";
    page.dispatchEvent(new Event("visibilitychange"));
    await new Promise((resolve) => setTimeout(resolve));
    expect([useSessionStore().ready, useSessionStore().expired]).toEqual([false, true]);
  });

  it("ends the session that is there, even if another tab began it", async () => {
    await start();
    const asked: (string | undefined)[] = [];
    const fetch = globalThis.fetch;
    vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
      if (init.method !== "DELETE") return fetch(url, init);
      asked.push((init.headers as Record<string, string>)["X-Tapdeck-CSRF"]);
      if (asked.length > 1) return new Response(null, { status: 204 });
      csrf = "t2";
      return Response.json({ error: { code: "csrf", message: "" } }, { status: 403 });
    });
    await useSessionStore().logOut();
    expect(asked).toEqual(["t", "t2"]);
    expect(useSessionStore().ready).toBe(false);
  });

  it("keeps cards and drafts for the same operator, and hides them from another", async () => {
    await start();
    const live = useLiveStore();
    const popups = usePopupsStore();
    live.take({ type: "popup", data: aPopup(aCall("c1")) });
    popups.drafts.set("c1", { name: "Wang", company: "", note: "", custom: "" });
    live.stop();
    useSessionStore().lose();
    await start();
    expect(popups.drafts.get("c1")?.name).toBe("Wang");
    live.stop();
    staffNo = "1002";
    await start();
    expect(popups.stack).toHaveLength(0);
    expect(popups.drafts.size).toBe(0);
  });
});
