import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { DeskPopup } from "@/api/deskTypes";
import { useCallsStore } from "@/stores/calls";
import { useNotesStore } from "@/stores/notes";
import { orderOf, Places, SETTLES_MS, type Standing } from "@/stores/popupOrder";
import { usePopupsStore } from "@/stores/popups";
import { useSessionStore } from "@/stores/session";
import { aCall, aPopup } from "./samples";

const NOBODY = { held: null, pointed: null };
const card = (callId: string, change: Partial<Standing> = {}): Standing => ({
  callId,
  running: true,
  mine: false,
  asked: 0,
  ...change,
});

describe("the order of the cards", () => {
  it("has one's own running calls on top, and one's own finished ones before those of others", () => {
    const over = { running: false };
    const cards = [
      card("1", { mine: true }),
      card("2", { ...over, mine: true }),
      card("3", { ...over, asked: 1 }),
      card("4", over),
      card("5"),
    ];
    expect(orderOf(cards, [], NOBODY)).toEqual(["1", "5", "3", "2", "4"]);
  });

  it("moves no card while the pointer is at the stack, whatever happens to the calls", () => {
    const before = [card("3"), card("2"), card("1")];
    const order = orderOf(before, [], NOBODY);
    const later = [card("3", { running: false }), card("2", { mine: true }), card("1")];
    expect(orderOf(later, order, { held: null, pointed: "" })).toEqual(order);
    expect(orderOf(later, order, NOBODY)).toEqual(["2", "1", "3"]);
  });

  it("puts a new card below what runs and below the card under the pointer", () => {
    const cards = [card("4"), card("3"), card("2", { running: false }), card("1", { running: false })];
    const last = ["3", "2", "1"];
    expect(orderOf(cards, last, { held: null, pointed: "" })).toEqual(["3", "4", "2", "1"]);
    expect(orderOf(cards, last, { held: null, pointed: "2" })).toEqual(["3", "2", "4", "1"]);
    expect(orderOf(cards, last, { held: "1", pointed: null })).toEqual(["3", "2", "1", "4"]);
  });

  it("takes a card for settled only when it has stood in one place for a while", () => {
    const places = new Places();
    places.note(new Map([["1", 0]]), 1000);
    expect(places.settled("1", 1000 + SETTLES_MS - 1)).toBe(false);
    expect(places.settled("1", 1000 + SETTLES_MS)).toBe(true);
    places.note(new Map([["1", 0]]), 2000);
    expect(places.settled("1", 2000)).toBe(true);
    places.note(
      new Map([
        ["2", 0],
        ["1", 340],
      ]),
      3000,
    );
    expect([places.settled("1", 3100), places.settled("2", 3100)]).toEqual([false, false]);
    places.note(new Map([["2", 0]]), 4000);
    expect(places.settled("1", 5000)).toBe(false);
  });
});

describe("the stack", () => {
  beforeEach(() => {
    setActivePinia(createPinia());
    const operator = { staff_no: "3001", name: "Li", permissions: [] as string[], level: "ordinary" };
    useSessionStore().session = { operator } as never;
  });
  const over = { state: "ended", result: "answered" } as const;
  const ids = () => usePopupsStore().stack.map((one) => one.callId);
  const id = (index: number) => `c${String(index).padStart(3, "0")}`;

  it("keeps the call that one took on top, and findable after its end, however many others ring", () => {
    const popups = usePopupsStore();
    popups.take(aPopup(aCall(id(0))));
    popups.noteTaken(id(0), "3001", "Li");
    popups.take(aPopup(aCall(id(1))));
    expect(ids()).toEqual([id(0), id(1)]);
    useCallsStore().arrive(aCall(id(0), over));
    for (let index = 2; index < 40; index += 1) popups.take(aPopup(aCall(id(index), over)));
    expect(ids().indexOf(id(0))).toBe(1); // after the one that still rings
    expect(ids().length).toBeLessThan(20);
  });

  it("counts a call as one's own when one noted it", () => {
    const popups = usePopupsStore();
    const note = { customer_id: "k", at: "", method: "", subject: "", content: "a", result: "" };
    const mine = [{ ...note, id: "1", call_id: id(0), author: "3001" }];
    const theirs = [{ ...note, id: "2", call_id: id(1), author: "3002" }];
    popups.take({ ...aPopup(aCall(id(0), over)), communications: mine } as DeskPopup);
    popups.take({ ...aPopup(aCall(id(1), over)), communications: theirs } as DeskPopup);
    expect(popups.stack.map(popups.isOwn)).toEqual([true, false]);
    expect(ids()).toEqual([id(0), id(1)]);
  });

  it("shows a card that is opened again above the finished ones, and does not put it away by itself", async () => {
    const popups = usePopupsStore();
    const old = aPopup(aCall(id(0), over));
    vi.stubGlobal("fetch", async () => new Response(JSON.stringify(old), { status: 200 }));
    for (let index = 1; index < 30; index += 1) popups.take(aPopup(aCall(id(index), over)));
    popups.dismiss(id(0));
    await popups.showAgain(id(0));
    for (let index = 30; index < 60; index += 1) popups.take(aPopup(aCall(id(index), over)));
    expect(ids()[0]).toBe(id(0));
    popups.dismiss(id(0));
    expect(ids()).not.toContain(id(0));
    vi.unstubAllGlobals();
  });

  it("puts nothing away under a hand", () => {
    const popups = usePopupsStore();
    popups.pointed = "";
    for (let index = 0; index < 20; index += 1) popups.take(aPopup(aCall(id(index), over)));
    expect(ids().length).toBe(20);
    popups.pointed = null;
    expect(popups.steady).toBe(false);
  });

  it("saves a note with the call alone, once", async () => {
    const popups = usePopupsStore();
    const notes = useNotesStore();
    const sent: string[] = [];
    const stored: unknown[] = [];
    vi.stubGlobal("fetch", async (url: string, init?: RequestInit) => {
      if (init?.method !== "POST") return new Response(JSON.stringify({ notes: stored }), { status: 200 });
      sent.push(`${url} ${String(init.body)}`);
      stored.push({
        id: 7,
        call_id: id(0),
        text: "喂",
        author: "3001",
        author_name: "Li",
        at: "",
        position_ms: null,
        score: null,
      });
      return sent.length === 1
        ? Promise.reject(new TypeError("the answer was lost"))
        : new Response(JSON.stringify(stored[0]), { status: 201 });
    });
    popups.take(aPopup(aCall(id(0), over)));
    notes.type(id(0), { text: "喂 " });
    await notes.saveAlone(id(0));
    expect([popups.hasText(id(0)), notes.problems.has(id(0))]).toEqual([true, true]);
    await notes.saveAlone(id(0));
    expect(sent.length).toBe(1);
    expect([popups.hasText(id(0)), notes.problems.has(id(0))]).toEqual([false, false]);
    vi.unstubAllGlobals();
  });
});
