import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { useCallNotesStore } from "@/stores/callNotes";
import { useTypedNames } from "@/stores/firstStart";
import { useKeptStore } from "@/stores/kept";
import { useNotesStore } from "@/stores/notes";
import { usePopupsStore } from "@/stores/popups";
import { useSessionStore } from "@/stores/session";
import { aCall, aCustomer, aPopup } from "./samples";

/** What the box keeps, and what it was asked. */
let drafts: Map<string, { body: string; changed_at: string }>;
let records: { id: string; call_id: string; content: string; author: string; next_contact_at: string | null }[];
let asked: string[];
let away: boolean;
let loses: boolean;
let tab: Map<string, string>;

function loadPage(): void {
  setActivePinia(createPinia());
  const operator = { staff_no: "3001", name: "", level: "ordinary" as const, group: 1, channels: [1], permissions: [] };
  useSessionStore().take({ operator, must_change_password: false, csrf: "t", time_zone: "" });
}

function answer(url: string, init: RequestInit): Response {
  const path = url.replace("/api/v1", "");
  asked.push(`${init.method} ${path}`);
  const key = path.replace("/drafts/", "");
  const body = init.body ? (JSON.parse(String(init.body)) as Record<string, string>) : {};
  if (path === "/drafts") return Response.json({ drafts: [...drafts].map(([name, one]) => ({ key: name, ...one })) });
  if (path.startsWith("/drafts/") && init.method === "PUT") {
    drafts.set(key, { body: body.body ?? "", changed_at: new Date().toISOString() });
    return Response.json({ key, ...drafts.get(key) });
  }
  if (path.startsWith("/drafts/")) return new Response(null, { status: drafts.delete(key) ? 204 : 404 });
  if (init.method === "GET" && path.startsWith("/communications")) return Response.json({ communications: records });
  if (init.method === "PATCH") {
    Object.assign(records[0] as object, body);
    return Response.json(records[0]);
  }
  const record = { id: String(records.length + 1), call_id: body.call_id ?? "", content: body.content ?? "" };
  records.push({ ...record, author: "3001", next_contact_at: body.next_contact_at ?? null });
  return Response.json(records.at(-1), { status: 201 });
}

beforeEach(() => {
  vi.useFakeTimers();
  [drafts, records, asked, away, loses, tab] = [new Map(), [], [], false, false, new Map()];
  vi.stubGlobal("sessionStorage", {
    getItem: (key: string) => tab.get(key) ?? null,
    setItem: (key: string, value: string) => void tab.set(key, value),
  });
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    if (away) throw new TypeError("refused");
    const given = answer(url, init);
    if (loses && init.method === "POST") throw new TypeError("cut off");
    return given;
  });
  loadPage();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});
const aMoment = () => vi.advanceTimersByTimeAsync(1500);
const part = () => useKeptStore().part<{ text: string }>("note");

describe("what somebody types", () => {
  it("is in the tab at once and in the box a moment later, and is forgotten there when it is saved", async () => {
    await useKeptStore().begin("3001");
    part().set("c1", { text: "a" });
    part().set("c1", { text: "ab" });
    expect(tab.get("tapdeck.typed.3001")).toContain('"ab"');
    expect(drafts.size).toBe(0);
    await aMoment();
    expect([...drafts]).toMatchObject([["desk.note.c1", { body: '{"text":"ab"}' }]]);
    part().delete("c1");
    await aMoment();
    expect(drafts.size).toBe(0);
    expect(asked.filter((one) => one.startsWith("PUT"))).toHaveLength(1);
  });

  it("is there again after a reload, also when the box never got it", async () => {
    await useKeptStore().begin("3001");
    away = true;
    part().set("c1", { text: "ab" });
    await aMoment();
    loadPage();
    await useKeptStore().begin("3001");
    expect(part().get("c1")).toEqual({ text: "ab" });
    away = false;
    await useKeptStore().catchUp();
    expect(drafts.get("desk.note.c1")?.body).toBe('{"text":"ab"}');
  });

  it("comes from the box where another computer is used, and the newer text wins", async () => {
    const at = (ms: number) => new Date(Date.now() + ms).toISOString();
    drafts.set("desk.note.c1", { body: '{"text":"box"}', changed_at: at(0) });
    drafts.set("other", { body: "not ours", changed_at: at(0) });
    drafts.set("desk.note.c9", { body: "[1]", changed_at: at(0) });
    await useKeptStore().begin("3001");
    expect([...useKeptStore().forms]).toEqual([["note.c1", { text: "box" }]]);
    away = true;
    vi.advanceTimersByTime(5000);
    part().set("c1", { text: "here, later" });
    away = false;
    await useKeptStore().catchUp();
    expect(drafts.get("desk.note.c1")?.body).toBe('{"text":"here, later"}');
    drafts.set("desk.note.c1", { body: '{"text":"there, later"}', changed_at: at(9000) });
    await useKeptStore().catchUp();
    expect(part().get("c1")).toEqual({ text: "there, later" });
  });

  it("does not come back once it was saved while the box was away", async () => {
    await useKeptStore().begin("3001");
    part().set("c1", { text: "ab" });
    await aMoment();
    away = true;
    part().delete("c1");
    await aMoment();
    loadPage();
    away = false;
    await useKeptStore().begin("3001");
    expect(part().has("c1")).toBe(false);
    expect(drafts.size).toBe(0);
  });

  it("is nobody else's", async () => {
    await useKeptStore().begin("3001");
    part().set("c1", { text: "mine" });
    await aMoment();
    drafts.clear(); // the box answers each person with the own drafts
    await useKeptStore().begin("3002");
    expect(useKeptStore().forms.size).toBe(0);
    part().set("c2", { text: "theirs" });
    await useKeptStore().begin("3001");
    expect([...useKeptStore().forms]).toEqual([["note.c1", { text: "mine" }]]);
  });

  it("is nobody else's either that was typed about a call that is heard, or as a line's name", async () => {
    await useKeptStore().begin("3001");
    const notes = useCallNotesStore();
    const names = useTypedNames();
    notes.type("c1", "was rude");
    names.type(2, "");
    await useKeptStore().begin("3002");
    expect([notes.typed("c1"), names.of(2)]).toEqual(["", undefined]);
    loadPage();
    await useKeptStore().begin("3001");
    expect([useCallNotesStore().typed("c1"), useTypedNames().of(2)]).toEqual(["was rude", ""]);
    useCallNotesStore().type("c1", "");
    useTypedNames().type(2, undefined);
    expect(useKeptStore().forms.size).toBe(0);
  });

  it("leaves no card put away for the next one at the same screen", () => {
    const logIn = (staff_no: string) => {
      usePopupsStore().clear();
      const operator = { staff_no, name: "", level: "ordinary" as const, group: 1, channels: [1], permissions: [] };
      useSessionStore().take({ operator, must_change_password: false, csrf: "t", time_zone: "" });
      usePopupsStore().take(aPopup(aCall("c1")));
      return usePopupsStore().cards.size;
    };
    usePopupsStore().take(aPopup(aCall("c1")));
    usePopupsStore().dismiss("c1");
    expect([logIn("3002"), logIn("3001")]).toEqual([1, 0]);
    loadPage();
    expect([logIn("3001"), logIn("3002")]).toEqual([0, 1]);
  });
});

describe("a note on a card", () => {
  const customer = aCustomer("k1", "13800138000");
  const open = (change = {}) => {
    usePopupsStore().take({ ...aPopup(aCall("c1"), { customers: [customer], ...change }), offers_note: true });
    return useNotesStore();
  };
  const draft = () => usePopupsStore().notes.get("c1");

  it("becomes a record of the call, and stands on the card", async () => {
    const notes = open();
    notes.type("c1", { text: " rang about the invoice ", method: "phone", next: "2026-11-23T01:00:00.000Z" });
    await notes.save("c1");
    expect(records).toMatchObject([{ call_id: "c1", content: "rang about the invoice" }]);
    expect(records[0]?.next_contact_at).toBe("2026-11-23T01:00:00.000Z");
    expect(draft()).toBeUndefined();
    expect(
      usePopupsStore()
        .cards.get("c1")
        ?.notes.map((one) => one.content),
    ).toEqual(["rang about the invoice"]);
  });

  it("waits while the box is away, and is saved when it is there again", async () => {
    const notes = open();
    notes.type("c1", { text: "abc" });
    away = true;
    await notes.save("c1");
    expect(draft()).toMatchObject({ text: "abc", pending: "1" });
    away = false;
    await notes.catchUp();
    expect(records.map((one) => one.content)).toEqual(["abc"]);
    expect(draft()).toBeUndefined();
  });

  it("is written once, also when the answer was lost", async () => {
    const notes = open();
    notes.type("c1", { text: "abc" });
    loses = true;
    await notes.save("c1");
    expect(records).toHaveLength(1);
    expect(draft()?.pending).toBe("1");
    loses = false;
    await notes.catchUp();
    expect(records.map((one) => one.content)).toEqual(["abc"]);
    expect(draft()).toBeUndefined();
  });

  it("that was typed on after a lost answer corrects the record", async () => {
    const notes = open();
    notes.type("c1", { text: "abc" });
    loses = true;
    await notes.save("c1");
    loses = false;
    notes.typeOn("c1");
    notes.type("c1", { text: "abcd" });
    await notes.save("c1");
    expect(records.map((one) => one.content)).toEqual(["abcd"]);
  });

  it("stays with its reason when the box refuses it", async () => {
    const notes = open();
    notes.type("c1", { text: "abc" });
    vi.stubGlobal("fetch", async () => Response.json({ error: { code: "refused", message: "" } }, { status: 409 }));
    await notes.save("c1");
    expect(draft()).toMatchObject({ text: "abc", pending: "" });
    expect(notes.problems.get("c1")).toMatchObject({ code: "refused" });
    notes.type("c1", { text: "" });
    expect(draft()).toBeUndefined();
  });

  it("is about the customer who was chosen, and about nobody while there is none", async () => {
    const notes = open({ customers: [customer, aCustomer("k2", "13800138000")] });
    expect(notes.customerOf("c1")).toBe("k1");
    notes.type("c1", { text: "abc", customer: "k2" });
    expect(notes.customerOf("c1")).toBe("k2");
    usePopupsStore().take(aPopup(aCall("c2")));
    notes.type("c2", { text: "abc" });
    await notes.save("c2");
    expect(records).toEqual([]);
  });
});
