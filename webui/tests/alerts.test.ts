import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { nextTick } from "vue";
import { playChime } from "@/audio/chime";
import { useAgentsStore } from "@/stores/agents";
import { useAlertsStore } from "@/stores/alerts";
import { useCallsStore } from "@/stores/calls";
import { usePopupsStore } from "@/stores/popups";
import { useSessionStore } from "@/stores/session";
import { aCall, aPopup } from "./samples";

vi.mock("@/i18n", () => ({ i18n: { global: { t: (key: string) => `[${key}]` } } }));
vi.mock("@/audio/chime", () => ({ playChime: vi.fn(), readyToSound: vi.fn() }));

let shown: { title: string; tag: string; closed: boolean }[];
let front: boolean;

function logIn(staff_no: string): void {
  const operator = { staff_no, name: "", level: "ordinary" as const, group: 1, channels: [1], permissions: [] };
  useSessionStore().take({ operator, must_change_password: false, csrf: "t", time_zone: "" });
}
function present(): void {
  class Shown {
    static permission = "granted";
    static requestPermission = async () => "granted";
    entry: { title: string; tag: string; closed: boolean };
    constructor(title: string, { tag }: { tag: string }) {
      this.entry = { title, tag, closed: false };
      shown.push(this.entry);
    }
    close(): void {
      this.entry.closed = true;
    }
  }
  vi.stubGlobal("Notification", Shown);
  vi.stubGlobal("isSecureContext", true);
  vi.stubGlobal("document", { hidden: false, hasFocus: () => front });
  vi.stubGlobal("fetch", async () => new Response(null, { status: 204 }));
}

beforeEach(() => {
  vi.useFakeTimers();
  setActivePinia(createPinia());
  [shown, front] = [[], true];
  vi.mocked(playChime).mockClear();
  present();
  logIn("3001");
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});
const ring = async (id: string) => {
  usePopupsStore().take(aPopup(aCall(id)));
  await nextTick();
};
const chimes = () => vi.mocked(playChime).mock.calls.length;

describe("the sound of a call", () => {
  it("is off until it is switched on, and then repeats until somebody looks at the card", async () => {
    const alerts = useAlertsStore();
    await ring("c1");
    expect(chimes()).toBe(0);
    alerts.switchSound();
    await nextTick();
    const before = chimes();
    vi.advanceTimersByTime(6500);
    expect(chimes()).toBe(before + 2);
    usePopupsStore().see("c1");
    await nextTick();
    vi.advanceTimersByTime(6500);
    expect(chimes()).toBe(before + 2);
  });

  it("ends with the ringing", async () => {
    useAlertsStore().switchSound();
    await ring("c1");
    useCallsStore().arrive(aCall("c1", { state: "talking" }));
    await nextTick();
    const before = chimes();
    vi.advanceTimersByTime(6500);
    expect(chimes()).toBe(before);
  });

  it("is kept from who is busy or away, whose cards come all the same", async () => {
    const alerts = useAlertsStore();
    alerts.switchSound();
    useAgentsStore().own = { staff_no: "3001", state: "away", reason: "", since: "2026-11-21T09:05:00.000Z" };
    await ring("c1");
    expect([alerts.silent, alerts.sounds, usePopupsStore().stack.length]).toEqual([true, false, 1]);
  });
});

describe("a notification", () => {
  it("comes only when the page is not in front, and goes when the card was seen", async () => {
    const alerts = useAlertsStore();
    expect(await alerts.switchNotify()).toBe(true);
    await ring("c1");
    await alerts.announce(aCall("c1", { simulated: false }), "138 0013 8000", "");
    expect(shown).toEqual([]);
    front = false;
    await alerts.announce(aCall("c1", { simulated: false }), "138 0013 8000", "");
    expect(shown).toMatchObject([{ title: "138 0013 8000", tag: "c1", closed: false }]);
    usePopupsStore().see("c1");
    await nextTick();
    expect(shown[0]?.closed).toBe(true);
    await alerts.announce(aCall("c2", { state: "ended", simulated: false }), "138 0013 8000", "");
    expect(shown).toHaveLength(1);
  });

  it("says that a call was made up", async () => {
    const alerts = useAlertsStore();
    await alerts.switchNotify();
    front = false;
    await ring("c3");
    await alerts.announce(aCall("c3", { simulated: true }), "138 0013 8000", "");
    expect(shown.map((one) => one.title)).toEqual(["[simulated.label] · 138 0013 8000"]);
  });
});
