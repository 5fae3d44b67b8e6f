import { describe, expect, it } from "vitest";
import type { Operator } from "@/api/types";
import { PLACES, SETTINGS_PAGES, seesPlace } from "@/places";
import { cardAlarms, channelAlarms, staffAlarms, storageAlarms } from "@/stores/alarms";
import { best, fit } from "@/stores/commands";
import { isJob, isOpen, partDone } from "@/stores/jobs";
import {
  ALL_PERMISSIONS,
  emptyOperator,
  levelsUpTo,
  missingOf,
  seesNoCall,
  TEMPLATES,
  warningsOf,
} from "@/stores/staff";
import { changesOf } from "@/text/auditChanges";
import { browserName } from "@/text/browserName";
import { addDays, boundsOf, dayOf, daysOf } from "@/text/days";

const operator = (level: Operator["level"], permissions: string[]): Operator => ({
  staff_no: "1001",
  name: "",
  level,
  group: 1,
  channels: [1],
  permissions,
});
const placesOf = (one: Operator) => PLACES.filter((place) => seesPlace(one, place.name)).map((place) => place.name);

describe("the seven places", () => {
  it("are all seen by an administrator, and those of the desk by an agent", () => {
    expect(placesOf(operator("super", ALL_PERMISSIONS))).toHaveLength(7);
    const agent = TEMPLATES.find((one) => one.name === "agent")?.permissions ?? [];
    expect(placesOf(operator("ordinary", agent))).toEqual(["desk", "customers", "communications"]);
  });

  it("hide every page of the settings that needs a permission", () => {
    const seen = SETTINGS_PAGES.filter((page) => seesPlace(operator("ordinary", []), page.name));
    expect(seen.map((page) => page.name)).toEqual(["sessions", "security", "jobs"]);
    expect(seesPlace(null, "desk")).toBe(false);
  });
});

describe("what was typed into the command box", () => {
  it("is found word by word, beginnings first", () => {
    expect(fit("off hook", ["Off-hook threshold"])).toBe(1);
    expect(fit("", ["anything"])).toBeGreaterThan(0);
    expect(fit("摘机 x", ["摘机门限"])).toBe(-1);
    expect(best(["Ring end", "Shortest ring", "Hook"], "ring", (one) => [one])).toEqual(["Ring end", "Shortest ring"]);
  });
});

describe("a new operator", () => {
  it("lacks staff number and name at first", () => {
    expect(missingOf(emptyOperator())).toEqual(["staffNo", "name"]);
    expect(missingOf({ ...emptyOperator(), staff_no: "1001", name: "王" })).toEqual([]);
    expect(missingOf({ ...emptyOperator(), staff_no: "10 01", name: "王" })).toEqual(["staffNo"]);
  });

  it("is warned of settings that cannot work", () => {
    const wanted = { level: "leader" as const, group: null, channels: [], permissions: ["customer_import_delete"] };
    expect(warningsOf(wanted)).toEqual(["leader_without_group", "customer_import_delete_alone"]);
    expect(seesNoCall({ ...wanted, permissions: ["net_popup"] })).toBe(true);
    expect(seesNoCall({ ...wanted, permissions: [] })).toBe(false); // who gets no pop-ups misses none
    expect(seesNoCall({ ...wanted, level: "super", permissions: ["net_popup"] })).toBe(false);
    expect(warningsOf({ ...wanted, level: "ordinary", permissions: [] })).toEqual(["ordinary_without_channel"]);
  });

  it("gets no level above that of who adds", () => {
    expect(levelsUpTo("leader")).toEqual(["ordinary", "leader"]);
  });

  it("begins from templates of known permissions", () => {
    expect(new Set(ALL_PERMISSIONS).size).toBe(18);
    for (const one of TEMPLATES) expect(one.permissions.filter((name) => !ALL_PERMISSIONS.includes(name))).toEqual([]);
  });
});

describe("alarms", () => {
  it("tell cut lines, lost cards, a full storage and settings that cannot work", () => {
    const channel = { number: 3, name: "前台", line: "lost" } as never;
    expect(channelAlarms([channel])[0]).toMatchObject({
      code: "line_lost",
      grave: true,
      values: { n: 3, name: "前台" },
    });
    expect(channelAlarms([{ number: 4, line: "present" } as never])).toEqual([]);
    const card = { card_id: "c1", model: null, ports: 8, connected: false, link: { lost_samples: 9 } } as never;
    expect(cardAlarms([card]).map((one) => one.code)).toEqual(["card_lost", "samples_lost"]);
    const storage = { full: true, days_left: 0, full_action: "stop_and_alarm", archives: [] } as never;
    expect(storageAlarms(storage).map((one) => one.code)).toEqual(["storage_full"]);
    const low = { full: false, days_left: 3.9, full_action: "overwrite_oldest", archives: [] } as never;
    expect(storageAlarms(low)[0]).toMatchObject({ code: "storage_low", grave: false, values: { n: 3 } });
    const leaver = { staff_no: "1", name: "", active: false, warnings: ["leader_without_group"] } as never;
    expect(staffAlarms([leaver])).toEqual([]);
  });
});

describe("jobs", () => {
  it("are told from what was done at once, and know their part", () => {
    const job = { state: "running", done_rows: 30, all_rows: 120 } as never;
    expect([isJob(job), isJob({ hand_overs: [] }), isOpen(job), partDone(job)]).toEqual([true, false, true, 0.25]);
    expect(partDone({ done_rows: 3, all_rows: null } as never)).toBeNull();
  });
});

describe("days", () => {
  it("go over the ends of months, and bounds come back as days", () => {
    expect(addDays("2026-02-28", 1)).toBe("2026-03-01");
    expect(addDays("2026-01-01", -1)).toBe("2025-12-31");
    const { from, to } = boundsOf("2026-11-21", "2026-11-22");
    expect(daysOf(from, to)).toEqual(["2026-11-21", "2026-11-22"]);
    expect(daysOf(from, undefined)).toBeNull();
    expect(dayOf(Date.parse(from))).toBe("2026-11-21");
  });
});

describe("an entry of the audit log", () => {
  it("shows what changed, then the rest", () => {
    const data = { before: { name: "王", level: "A" }, after: { name: "王芳", level: "A", note: null }, count: 2 };
    expect(changesOf(data)).toEqual([
      { key: "name", before: "王", after: "王芳" },
      { key: "count", before: "", after: "2" },
    ]);
    expect(changesOf({ before: "x" })).toEqual([]);
  });
});

describe("a browser's name", () => {
  it("is short", () => {
    const edge = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36 Edg/141.0.1";
    expect(browserName(edge)).toBe("Edge 141, Windows");
    expect(browserName("curl/8.5")).toBe("");
  });
});
