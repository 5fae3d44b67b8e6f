import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it } from "vitest";
import { type CallBack, type Condition, type MyLine, POPUP_CAUSES, type Task, type TraceLine } from "@/api/deskTypes";
import deskEn from "@/locales/desk.en.json";
import { asRow, type CallBackRow, groupsOf, queryOf, standsIn } from "@/stores/callBacks";
import { useCallsStore } from "@/stores/calls";
import { checksOf } from "@/stores/myLine";
import { onOffice, tellOffice } from "@/stores/officeNews";
import { usePopupsStore } from "@/stores/popups";
import { byDue } from "@/stores/tasks";
import { causeOf, outcomeOf } from "@/stores/why";
import { laterTimes } from "@/text/laterTimes";
import { aCall, aPopup } from "./samples";

beforeEach(() => setActivePinia(createPinia()));

describe("the stack of cards", () => {
  const ids = () => usePopupsStore().stack.map((card) => card.callId);

  it("leaves the card into which somebody types where it is, and puts new ones just below it", () => {
    const popups = usePopupsStore();
    popups.take(aPopup(aCall("c1")));
    popups.take(aPopup(aCall("c2")));
    expect(ids()).toEqual(["c2", "c1"]);
    popups.held = "c2";
    popups.take(aPopup(aCall("c3")));
    expect(ids()).toEqual(["c2", "c3", "c1"]);
    useCallsStore().arrive(aCall("c2", { state: "ended", result: "missed" }));
    popups.take(aPopup(aCall("c4")));
    expect(ids()).toEqual(["c2", "c4", "c3", "c1"]);
    popups.held = null;
    expect(ids()).toEqual(["c4", "c3", "c1", "c2"]);
  });

  it("puts away at once only what nobody has typed into", () => {
    const popups = usePopupsStore();
    const over = { state: "ended", result: "missed" } as const;
    for (const id of ["c1", "c2", "c3"]) popups.take(aPopup(aCall(id, over)));
    popups.notes.set("c1", { text: "a", customer: "", method: "", next: "", pending: "", sent: "" });
    popups.drafts.set("c2", { name: "", company: "", note: "", custom: "" }); // an open form, empty
    popups.dismissFinished();
    expect([ids(), popups.drafts.has("c2")]).toEqual([["c1"], false]);
    popups.dismiss("c1");
    expect([popups.notes.has("c1"), ids()]).toEqual([false, []]);
  });
});

describe("why a card came or not", () => {
  const line = (conditions: [string | null, string, boolean][], change: Partial<TraceLine> = {}): TraceLine => ({
    staff_no: "1",
    name: "",
    shows: false,
    rows: [],
    conditions: conditions.map(([row, condition, holds]): Condition => ({ row, condition, holds })),
    logged_in: true,
    state: null,
    streams: 0,
    shown_at: null,
    acknowledged_at: null,
    handed_by: null,
    ...change,
  });

  it("is the first general condition that fails, then the rows", () => {
    expect(
      causeOf(
        line([
          [null, "channel_popup", true],
          [null, "number_present", false],
          [null, "net_popup", false],
        ]),
      ),
    ).toBe("number_present");
    expect(
      causeOf(
        line([
          ["D", "channel_is_associated", true],
          ["D", "operator_is_owner", false],
        ]),
      ),
    ).toBe("customer_of_others");
    expect(
      causeOf(
        line([
          ["D", "channel_is_associated", false],
          ["D", "operator_is_owner", true],
        ]),
      ),
    ).toBe("not_my_channel");
    expect(causeOf(line([["H", "channel_is_associated", false]]))).toBe("not_my_channel");
    expect(causeOf(line([], { shows: true }))).toBe("shown");
  });

  it("is told apart from a card that would have come to a page that was not there", () => {
    expect(outcomeOf(line([], { shows: true }))).toBe("missed");
    expect(outcomeOf(line([], { shows: true, shown_at: "2026-11-21T09:05:00.000Z" }))).toBe("came");
    expect(outcomeOf(line([], { shown_at: "2026-11-21T09:05:00.000Z", handed_by: "2" }))).toBe("handed");
    expect(outcomeOf(line([]))).toBe("none");
  });

  it("has words for every cause", () => {
    expect(Object.keys(deskEn.cause).sort()).toEqual([...POPUP_CAUSES].sort());
  });
});

describe("my line", () => {
  const reading = {
    number: 1,
    line: "present",
    hook: "on",
    ringing: false,
    volts: 48,
    level_dbm0: -70,
    recording: false,
  } as const;
  const settings = {
    name: "",
    group: 1,
    popup: true,
    line_kind: "exchange",
    enabled: true,
    card_id: "card-1",
    port: 0,
    simulated: true,
    call: null,
  } as const;
  const oneLine = (numbers: (string | null)[]): MyLine => ({
    channel: { ...reading, ...settings },
    last_ring_at: null,
    last_number: numbers.find(Boolean) ?? null,
    calls: numbers.map((number, index) => ({
      call: aCall(`c${index}`, { caller_number: number }),
      cause: "shown",
      shown_at: null,
      handed_by: null,
    })),
  });
  const passed = (line: MyLine, connected = true, net_popup = true) =>
    checksOf(line, reading, { lines: [line], net_popup, streams: 1 }, connected).map((check) => check.passed);

  it("says nothing of rings and numbers before there was a call", () => {
    expect(passed(oneLine([]))).toEqual([true, null, null, true, true, true]);
    expect(passed(oneLine([null, "13800138000"]))).toEqual([true, true, true, true, true, true]);
    expect(passed(oneLine([null]), false, false)).toEqual([true, true, false, true, false, false]);
  });

  it("finds a dead line, and a channel without pop-up", () => {
    const line = oneLine([]);
    line.channel.popup = false;
    const checks = checksOf(line, { ...reading, line: "lost" }, { lines: [line], net_popup: true, streams: 1 }, true);
    expect(checks.filter((check) => check.passed === false).map((check) => check.key)).toEqual(["line", "popup"]);
  });
});

describe("call-backs and tasks", () => {
  it("stand in the part of the list to which they belong", () => {
    const one = (state: CallBack["state"], owner: string | null) => ({ state, owner }) as CallBack;
    expect(standsIn("waiting", one("open", null), "1")).toBe(true);
    expect(standsIn("waiting", one("taken", "2"), "1")).toBe(true);
    expect(standsIn("mine", one("taken", "2"), "1")).toBe(false);
    expect(standsIn("mine", one("taken", "1"), "1")).toBe(true);
    expect(standsIn("done", one("dismissed", "1"), "1")).toBe(false);
    expect(queryOf("mine", "1")).toEqual({ state: "taken", owner: "1" });
  });

  it("stand once for each number, as taken when somebody has one of its calls", () => {
    const row = (id: string, number: string, more: Partial<CallBack> = {}): CallBackRow => {
      const call = aCall(id, { caller_number: number, caller_e164: number, started_at: `2026-11-23T08:00:0${id}Z` });
      return asRow({ call, state: "open", owner: null, missed_since: 0, closed_at: null, ...more } as CallBack);
    };
    const rows = [
      row("1", "+861", { missed_since: 6 }),
      row("2", "+862"),
      row("3", "+861", { state: "taken", owner: "7", missed_since: 5 }),
      row("4", "+861"),
    ];
    const [first, second, ...more] = groupsOf(rows, "1");
    expect([first?.id, first?.lead.id, first?.lead.owner, first?.count, first?.whole]).toEqual([
      "4",
      "3",
      "7",
      7,
      true,
    ]);
    expect(first?.rows.map(({ id }) => id)).toEqual(["4", "3", "1"]);
    expect([second?.id, second?.count, more]).toEqual(["2", 1, []]);
    const done = [
      row("1", "+861", { state: "done", closed_at: "a" }),
      row("2", "+861", { state: "done", closed_at: "b" }),
    ];
    expect(groupsOf(done, "1").map(({ count }) => count)).toEqual([1, 1]);
  });

  it("come by the time when they are due, those without one last", () => {
    const task = (id: string, due_at: string | null) => ({ id, due_at }) as Task;
    const tasks = [task("9", null), task("2", "2026-11-23"), task("10", "2026-11-22"), task("3", null)];
    expect(tasks.sort(byDue).map((one) => one.id)).toEqual(["10", "2", "3", "9"]);
  });

  it("are offered for moments that people mean", () => {
    const keys = (now: Date) => laterTimes(now.getTime()).map((one) => one.key);
    const friday = new Date(2026, 10, 20, 17, 0);
    expect(keys(friday)).toEqual(["hour", "tomorrow", "monday", "week"]);
    expect(laterTimes(friday.getTime())[2]?.at).toEqual(new Date(2026, 10, 23, 9));
    expect(keys(new Date(2026, 10, 22, 17, 0))).toEqual(["hour", "tomorrow", "week"]); // tomorrow is Monday
  });
});

describe("what people did", () => {
  it("is told to those who registered for it, until they leave", () => {
    const heard: string[] = [];
    const leave = onOffice("task_due", (event) => heard.push(String(event.data.id)));
    const tell = (kind: string, id: string) => tellOffice({ kind, at: "", call_id: null, data: { id } });
    tell("task_due", "1");
    tell("task_changed", "2");
    leave();
    tell("task_due", "3");
    expect(heard).toEqual(["1"]);
  });
});
