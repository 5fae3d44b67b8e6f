import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Channel } from "@/api/types";
import { playerKeyOf } from "@/audio/playerKeys";
import { behindSilence, outlineOf, silences } from "@/audio/silence";
import { barsOf, type LaneCall } from "@/charts/lanes";
import { useBasketStore } from "@/stores/basket";
import { useBoardStore } from "@/stores/board";
import { inParts } from "@/stores/boardView";
import { momentIn, offsetOf } from "@/stores/callNotes";
import { matchesFilter, useCallsStore } from "@/stores/calls";
import { asked } from "@/stores/callView";
import { deletable, deleteAll } from "@/stores/deletions";
import { usePlayerStore } from "@/stores/player";
import { aCall, aRecording } from "./samples";

beforeEach(() => setActivePinia(createPinia()));
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe("silence", () => {
  /** Seconds of loudness, ten pairs each. */
  const track = (...loud: number[]) => loud.flatMap((one) => Array.from({ length: 10 }, () => [-one, one]).flat());

  it("is where all sides are quiet for long enough, but for a margin", () => {
    const found = silences({ per_second: 10, tracks: [track(9, 0, 0, 0, 9, 0), track(0, 0, 1, 2, 0, 9)] });
    expect(found).toEqual([{ from_s: 1.3, to_s: 3.7 }]);
    expect([0, 1.5, 3.8].map((at_s) => behindSilence(found, at_s))).toEqual([0, 3.7, 3.8]);
  });

  it("reaches to both ends", () => {
    expect(silences({ per_second: 10, tracks: [track(0, 0, 9, 0, 0)] })).toEqual([
      { from_s: 0, to_s: 1.7 },
      { from_s: 3.3, to_s: 5 },
    ]);
    expect(silences({ per_second: 10, tracks: [[]] })).toEqual([]);
  });

  it("is found in decoded sound as well", () => {
    const samples = new Float32Array(8000 * 4);
    samples.fill(0.5, 0, 8000);
    expect(silences(outlineOf([samples], 8000))).toEqual([{ from_s: 1.3, to_s: 4 }]);
  });
});

describe("the keys of the player", () => {
  /** Somebody presses a key on an element of this kind. */
  const press = (key: string, on = "div", shiftKey = false) => {
    const target = { closest: (kinds: string) => (kinds.split(/, /).includes(on) ? {} : null) };
    return playerKeyOf({ key, shiftKey, target } as unknown as KeyboardEvent)?.text;
  };

  it("mean one thing each, also with Shift", () => {
    expect(press(" ")).toBe("toggle");
    expect(press("ArrowLeft")).toBe("back");
    expect(press("ArrowLeft", "div", true)).toBe("backStep");
    expect(press("B", "div", true)).toBe("bookmark");
    expect(press("?", "div", true)).toBe("list");
    expect(press("q")).toBeUndefined();
  });

  it("leave typing and buttons alone", () => {
    expect(press("b", "input")).toBeUndefined();
    expect(press(" ", "button")).toBeUndefined();
    expect(press("b", "button")).toBe("bookmark");
  });
});

describe("the basket", () => {
  const call = (id: string, count = 1) =>
    aCall(id, {
      state: "ended",
      recordings: Array.from({ length: count }, (_, at) =>
        aRecording(`${id}-${at}`, { state: "ready", bytes: 1000, duration_ms: 2000, segment: at }),
      ),
    });

  it("takes each recording once, no more than fit, and gives back", () => {
    const basket = useBasketStore();
    expect(basket.add([call("a", 2), call("a", 2)])).toEqual({ added: 2, left: 0 });
    expect(basket.add([call("a", 2)])).toEqual({ added: 0, left: 0 });
    expect(basket.has(call("a"))).toBe(true);
    expect(basket.bytes).toBe(2000);
    expect(basket.add(Array.from({ length: 99 }, (_, at) => call(`b${at}`)))).toEqual({ added: 98, left: 1 });
    basket.removeCall(call("a", 2));
    expect(basket.items).toHaveLength(98);
    expect(basket.add([aCall("c", { recordings: [aRecording("c-0")] })])).toEqual({ added: 0, left: 0 });
  });
});

describe("deleting recordings", () => {
  it("tells what was done, what was refused, and why", async () => {
    vi.useFakeTimers();
    const state: Record<string, string> = { "1": "done", "2": "refused" };
    vi.stubGlobal("fetch", async (input: string, options: { method: string }) => {
      const url = new URL(input, "http://box.test");
      const last = url.pathname.split("/").at(-1) ?? "";
      if (options.method === "DELETE" && last === "r3")
        return Response.json({ error: { code: "refused", message: "no" } }, { status: 409 });
      if (options.method === "DELETE") return Response.json({ order: Number(last.slice(1)) }, { status: 202 });
      return Response.json({ id: Number(last), verb: "delete", state: state[last], error_code: "held" });
    });
    const told: number[] = [];
    const going = deleteAll(["r1", "r2", "r3"], "why", (settled) => told.push(settled));
    await vi.advanceTimersByTimeAsync(1000);
    const found = await going;
    expect(found).toMatchObject({ done: ["r1"], waiting: 0, refused: 2 });
    expect(found.why).toBe("refused");
    expect(told.at(-1)).toBe(3);
  });

  it("is of what is there", () => {
    const some = aCall("c", {
      recordings: [aRecording("r1", { state: "ready" }), aRecording("r2", { state: "lost" })],
    });
    expect(deletable([some])).toEqual(["r1"]);
  });
});

describe("the list of calls", () => {
  it("leaves to the box what only the box can judge", () => {
    const call = aCall("c1", { state: "talking", channel: 3 });
    expect(matchesFilter(call, { channel: "3", state: "talking" })).toBe(true);
    expect(matchesFilter(call, { channel: "4" })).toBe(false);
    expect(matchesFilter(call, { text: "invoice" })).toBe(false);
    expect(matchesFilter(call, { text: undefined })).toBe(true);
  });

  it("takes from a link what it knows", () => {
    expect(asked({ number: "138", direction: "incoming", other: "x", held: null })).toEqual({
      number: "138",
      direction: "incoming",
    });
  });
});

describe("the player", () => {
  it("opens the recording that has the moment", () => {
    const begun = "2026-11-22T08:00:00.000Z";
    const at = (seconds: number) => new Date(Date.parse(begun) + seconds * 1000).toISOString();
    const calls = useCallsStore();
    const player = usePlayerStore();
    const recordings = [0, 60, 120].map((seconds, segment) =>
      aRecording(`r${segment}`, { state: "ready", segment, started_at: at(seconds) }),
    );
    const call = aCall("c1", { state: "ended", started_at: begun, recordings });
    calls.put(call);
    player.open("c1");
    expect([player.recordingId, player.wanted_ms]).toEqual(["r0", null]);
    player.open("c1", 70_000);
    expect([player.recordingId, player.wanted_ms]).toEqual(["r1", 70_000]);
    expect(offsetOf(call, recordings[2])).toBe(120_000);
    expect(offsetOf(call, undefined)).toBe(0);
    expect([5_000, 70_000].map((position_ms) => momentIn(call, position_ms))).toEqual([5_000, 10_000]);
  });
});

describe("the timeline", () => {
  it("draws ringing and talking on the lane of the channel", () => {
    const call = (more: Partial<LaneCall>): LaneCall => ({
      id: "c",
      channel: 7,
      label: "138",
      from_ms: 10,
      answered_ms: 20,
      to_ms: 50,
      missed: false,
      ...more,
    });
    expect(barsOf([call({})], [3, 7]).map((bar) => bar.value)).toEqual([
      [1, 10, 20, "ring"],
      [1, 20, 50, "talk"],
    ]);
    expect(barsOf([call({ answered_ms: null, missed: true })], [7]).map((bar) => bar.value)).toEqual([
      [0, 10, 50, "missed"],
    ]);
  });
});

describe("the board", () => {
  const channel = (number: number, more: Partial<Channel> = {}) =>
    ({ number, name: "", group: 1, card_id: "a", line: "present", ...more }) as Channel;

  it("is divided by group or card, in the order of the channels", () => {
    const some = [
      channel(1, { group: 2 }),
      channel(2),
      channel(3, { group: 2, card_id: "b" }),
      channel(4, { group: null }),
    ];
    const shape = (parts: ReturnType<typeof inParts>) => parts.map(({ key, channels }) => [key, channels.length]);
    expect(shape(inParts(some, "group"))).toEqual([
      ["2", 2],
      ["1", 1],
      ["", 1],
    ]);
    expect(shape(inParts(some, "card"))).toEqual([
      ["a", 3],
      ["b", 1],
    ]);
    expect(shape(inParts(some, "none"))).toEqual([["", 4]]);
  });

  it("shows what many lines do at once, and how loud they are a little later, nothing left out", () => {
    vi.useFakeTimers();
    const board = useBoardStore();
    for (let number = 1; number <= 100; number += 1) board.channels.set(number, channel(number, { level_dbm0: -60 }));
    const reading = (level_dbm0: number, hook: "on" | "off") =>
      ({ number: 7, line: "present", hook, ringing: false, volts: 7, level_dbm0, recording: false }) as const;
    board.takeReadings([reading(-20, "off")]);
    expect(board.channels.get(7)).toMatchObject({ hook: "off", level_dbm0: -60 });
    vi.advanceTimersByTime(800);
    expect(board.channels.get(7)?.level_dbm0).toBe(-20);
    board.takeReadings([reading(-25, "off")]);
    board.takeReadings([reading(-30, "on")]);
    expect(board.channels.get(7)).toMatchObject({ hook: "on", level_dbm0: -30 });
  });

  it("knows why a channel does not work", () => {
    const board = useBoardStore();
    board.cards = [
      { card_id: "a", connected: true },
      { card_id: "b", connected: false },
    ] as typeof board.cards;
    expect(board.alarmOf(channel(1))).toBeNull();
    expect(board.alarmOf(channel(1, { line: "lost" }))).toBe("line");
    expect(board.alarmOf(channel(1, { card_id: "b", line: "unknown" }))).toBe("card");
  });
});
