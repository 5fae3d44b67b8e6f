import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "@/api/http";
import type { Operator } from "@/api/types";
import { useErasure } from "@/stores/erasure";
import { useFirstStartStore } from "@/stores/firstStart";
import { useSessionStore } from "@/stores/session";

const office = vi.hoisted(() => ({ readSettings: vi.fn(), changeSettings: vi.fn() }));
const box = vi.hoisted(() => ({
  readDraft: vi.fn(),
  searchErasure: vi.fn(),
  eraseNumber: vi.fn(),
  readErasure: vi.fn(),
}));
const desk = vi.hoisted(() => ({ keepDraft: vi.fn(), dropDraft: vi.fn(), readDrafts: vi.fn() }));
vi.mock("@/api/office", () => office);
vi.mock("@/api/box", () => box);
vi.mock("@/api/desk", () => desk);

const SUPER: Operator = {
  staff_no: "1000",
  name: "",
  level: "super",
  group: null,
  channels: [],
  permissions: ["system_setup", "channel_setup"],
};
const logIn = (change: Partial<Operator>) =>
  useSessionStore().take({ operator: { ...SUPER, ...change }, must_change_password: false, csrf: "x", time_zone: "" });
const setUp = (done: boolean) => office.readSettings.mockResolvedValue([{ key: "setup_done", value: done }]);

beforeEach(() => {
  setActivePinia(createPinia());
  const kept = new Map<string, string>();
  vi.stubGlobal("sessionStorage", {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
  });
  desk.keepDraft.mockResolvedValue({});
  desk.dropDraft.mockResolvedValue(undefined);
});

describe("the guided set-up", () => {
  it("begins by itself on a box that was never set up, for who can set it up", async () => {
    setUp(false);
    logIn({});
    expect(await useFirstStartStore().isDue()).toBe(true);
    logIn({ level: "leader" });
    expect(await useFirstStartStore().isDue()).toBe(false);
    logIn({ permissions: ["channel_setup"] });
    expect(await useFirstStartStore().isDue()).toBe(false);
    setUp(true);
    logIn({});
    expect(await useFirstStartStore().isDue()).toBe(false);
    office.readSettings.mockRejectedValue(new ApiError(0, "away", ""));
    expect(await useFirstStartStore().isDue()).toBe(false);
  });

  it("does not come back to whoever left it, but to the next one", async () => {
    setUp(false);
    logIn({});
    useFirstStartStore().leave();
    expect(await useFirstStartStore().isDue()).toBe(false);
    logIn({ staff_no: "1001" });
    expect(await useFirstStartStore().isDue()).toBe(true);
  });

  it("keeps every step, goes on where it was left, and forgets all of it at the end", async () => {
    setUp(false);
    logIn({});
    box.readDraft.mockResolvedValue('{"step":"desks","passed":["lines"]}');
    const setup = useFirstStartStore();
    await setup.load();
    expect([setup.step, setup.index]).toEqual(["desks", 5]);
    await setup.next();
    expect(desk.keepDraft).toHaveBeenLastCalledWith("first-start", '{"step":"test","passed":["lines","desks"]}');
    await setup.next();
    expect(setup.step).toBe("test");
    await setup.finish();
    expect(office.changeSettings).toHaveBeenCalledWith(null, { setup_done: true }, []);
    expect(desk.dropDraft).toHaveBeenCalledWith("first-start");
    expect([setup.done, setup.step]).toEqual([true, "language"]);
  });
});

describe("erasing a number", () => {
  it("erases what was shown, waits for the keeper, and keeps the salt", async () => {
    vi.useFakeTimers();
    box.searchErasure.mockResolvedValue({ items: [], counts: { call: 2 }, going: 2, staying: 1 });
    box.eraseNumber.mockResolvedValue({ order: 7, salt: "abc" });
    box.readErasure
      .mockResolvedValueOnce({ order: 7, state: "pending", message: "", certificate: null })
      .mockResolvedValueOnce({ order: 7, state: "done", message: "", certificate: { signed: true } });
    const erasure = useErasure();
    erasure.number = " 138 ";
    await erasure.search();
    erasure.number = "139"; // what is typed now was not searched for
    const done = erasure.erase();
    await vi.runAllTimersAsync();
    await done;
    expect(box.eraseNumber).toHaveBeenCalledWith("138", 2);
    expect(erasure.erased).toMatchObject({ state: "done", salt: "abc", certificate: { signed: true } });
    expect(erasure.found).toBeNull();
    vi.useRealTimers();
  });

  it("erases nothing when it is not as it was shown any more, and shows how it is now", async () => {
    box.searchErasure.mockResolvedValueOnce({ items: [], counts: {}, going: 2, staying: 0 });
    box.searchErasure.mockResolvedValueOnce({ items: [], counts: {}, going: 3, staying: 0 });
    box.eraseNumber.mockRejectedValue(new ApiError(409, "changed", ""));
    const erasure = useErasure();
    erasure.number = "138";
    await erasure.search();
    expect(await erasure.erase()).toBe(false);
    expect((erasure.problem as ApiError).code).toBe("changed");
    expect(erasure.found?.going).toBe(3);
    expect(erasure.erased).toBeNull();
  });
});
