import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { effectScope, nextTick, reactive } from "vue";
import type { Stick } from "@/api/sticks";
import { useBasketStore } from "@/stores/basket";
import { useLiveStore } from "@/stores/live";
import { useSessionStore } from "@/stores/session";
import { canEject, isUsable, nameOf, useSticksStore } from "@/stores/sticks";
import { useTakeHome } from "@/stores/takeHome";
import { aCall, aRecording } from "./samples";

function aStick(id: string, change: Partial<Stick> = {}): Stick {
  return {
    id,
    label: `label ${id}`,
    name: "",
    known: false,
    model: "",
    file_system: "exfat",
    partition: 1,
    size_bytes: 1000,
    free_bytes: 900,
    state: "mounted",
    reason: "",
    unclean: false,
    write_protected: false,
    writer: "",
    simulated: false,
    since_at: "2026-11-23T00:00:00.000Z",
    ...change,
  };
}

let present: Stick[];
let sent: { path: string; body: Record<string, unknown> }[];
let estimate: Record<string, unknown>;
let hold: Promise<void> | null;

beforeEach(() => {
  setActivePinia(createPinia());
  vi.useFakeTimers();
  present = [aStick("a")];
  sent = [];
  hold = null;
  estimate = { calls: 2, recordings: 2, bytes: 10, seconds: 1, complete: true, since: null, fits: true, too_large: 0 };
  const operator = { staff_no: "1001", name: "", level: "super" as const, group: 1, channels: [], permissions: [] };
  useSessionStore().take({ operator, must_change_password: false, csrf: "t", time_zone: "" });
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    const path = url.replace("/api/v1", "");
    if (path === "/media") {
      const media = [...present];
      await hold;
      return Response.json({ allowed: "all", media, known: [] });
    }
    sent.push({ path, body: JSON.parse(String(init.body)) });
    return Response.json(path.endsWith("estimate") ? estimate : { id: 7, state: "waiting", done_rows: 0 });
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const tell = (kind: "medium_present" | "medium_changed" | "medium_gone", medium: Stick) =>
  useLiveStore().take({ type: "medium", data: { kind, medium } });
const ids = () => useSticksStore().sticks.map(({ id }) => id);

describe("sticks", () => {
  it("come, change and go as the stream tells, once somebody has looked", async () => {
    const store = useSticksStore();
    tell("medium_present", aStick("b"));
    expect(ids()).toEqual([]);
    await store.load();
    tell("medium_present", aStick("b"));
    tell("medium_changed", aStick("a", { state: "writing", writer: "job 3" }));
    expect(ids()).toEqual(["a", "b"]);
    expect(store.sticks[0]?.state).toBe("writing");
    tell("medium_gone", aStick("a"));
    expect(ids()).toEqual(["b"]);
  });

  it("are read again when the stream told of one while they were read", async () => {
    const store = useSticksStore();
    let go = () => {};
    hold = new Promise((resolve) => {
      go = resolve;
    });
    const reading = store.load();
    present = [aStick("a"), aStick("late")];
    tell("medium_present", aStick("late"));
    hold = null;
    go();
    await reading;
    expect(ids()).toEqual(["a", "late"]);
  });

  it("can be written to when nothing speaks against it, and pulled out safely when nobody writes", () => {
    const states = (check: (stick: Stick) => boolean) =>
      (["mounted", "writing", "flushing", "safe_to_remove", "forbidden", "refused"] as const).filter((state) =>
        check(aStick("x", { state })),
      );
    expect(states(isUsable)).toEqual(["mounted", "writing", "flushing"]);
    expect(isUsable(aStick("x", { write_protected: true }))).toBe(false);
    expect(states(canEject)).toEqual(["mounted"]);
    expect(nameOf(aStick("x", { name: "accounting" }))).toBe("accounting");
    expect(nameOf(aStick("x", { label: "" }))).toBe("x");
  });
});

describe("taking home", () => {
  async function opened(chosen: string[] = ["c1", "c2"]) {
    const open = reactive({ now: false });
    const scope = effectScope();
    const given = () => ({ filter: { channel: 2 }, chosen, language: "en" as const });
    const home = scope.run(() => useTakeHome(() => open.now, given)) as ReturnType<typeof useTakeHome>;
    await useSticksStore().load();
    open.now = true;
    return { home, settle, scope };
  }
  async function settle() {
    await nextTick();
    await vi.advanceTimersByTimeAsync(400);
  }
  const asked = () => sent.at(-1)?.body ?? {};

  it("weighs what is asked for, on the first stick that can be used", async () => {
    present = [aStick("locked", { write_protected: true }), aStick("a")];
    const { home, settle: wait } = await opened();
    home.begin({ as: "calls", which: "filtered" });
    await wait();
    expect(asked()).toMatchObject({ medium: "a", calls: { channel: 2 }, chosen: null, tag: null, passphrase: null });
    expect(home.ready.value).toBe(true);
    estimate = { ...estimate, too_large: 1 };
    home.form.format = "wav";
    await wait();
    expect(home.ready.value, "all others go, and these are listed as left out").toBe(true);
    estimate = { ...estimate, too_large: 0, fits: false };
    home.form.format = "opus";
    await wait();
    expect(home.ready.value).toBe(false);
  });

  it("takes no passphrase that is too short, and tells the estimate none", async () => {
    const { home, settle: wait } = await opened();
    home.begin({ as: "calls", which: "chosen" });
    home.form.passphrase = "short";
    await wait();
    expect([home.short.value, home.ready.value]).toEqual([true, false]);
    home.form.passphrase = "long enough for this";
    await wait();
    expect(asked()).toMatchObject({ chosen: ["c1", "c2"], passphrase: null });
    await home.send();
    expect(asked()).toMatchObject({ passphrase: "long enough for this" });
    home.sent();
    expect(home.form.passphrase).toBe("");
  });

  it("makes a case package of the basket once it has a title and a purpose, and keeps what was typed until then", async () => {
    const basket = useBasketStore();
    for (const id of ["c8", "c9"])
      basket.add([aCall(id, { recordings: ["r", "s"].map((one) => aRecording(one + id, { state: "ready" })) })]);
    const { home, settle: wait } = await opened([]);
    home.begin({ as: "case", which: "basket" });
    await wait();
    expect(asked()).toMatchObject({ chosen: ["c8", "c9"], format: "original", evidence: true });
    expect(home.ready.value).toBe(false);
    home.kept.value.title = " dispute ";
    home.kept.value.reason = "court";
    await nextTick();
    expect(home.ready.value).toBe(true);
    await home.send();
    expect(sent.at(-1)?.path).toBe("/case-packages");
    expect(asked()).toMatchObject({ calls: ["c8", "c9"], title: "dispute", reason: "court" });
    home.begin({ as: "case", which: "basket" });
    expect(home.kept.value.title).toBe(" dispute ");
    home.sent();
    expect(home.kept.value).toEqual({ title: "", reason: "" });
  });

  it("refuses a case of more calls than the box takes", async () => {
    const { home, settle: wait } = await opened(Array.from({ length: 101 }, (_, n) => `c${n}`));
    home.begin({ as: "case", which: "chosen" });
    home.kept.value = { title: "t", reason: "r" };
    await wait();
    expect([home.tooMany.value, home.ready.value]).toEqual([true, false]);
  });
});
