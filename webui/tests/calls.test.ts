import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it } from "vitest";
import { channelState } from "@/stores/board";
import { matchesFilter, partyName, partyNumber, useCallsStore } from "@/stores/calls";
import { aCall, aRecording } from "./samples";

beforeEach(() => setActivePinia(createPinia()));

describe("the calls store", () => {
  it("never takes a call back to an earlier state", () => {
    const calls = useCallsStore();
    calls.put(aCall("c1", { state: "ended", result: "answered" }));
    calls.arrive(aCall("c1", { state: "ringing" }));
    expect(calls.known.get("c1")?.state).toBe("ended");
    expect(calls.arrived).toEqual([]);
  });

  it("remembers an arrival once", () => {
    const calls = useCallsStore();
    calls.arrive(aCall("c1"));
    calls.arrive(aCall("c1", { state: "talking" }));
    calls.arrive(aCall("c2"));
    expect(calls.arrived).toEqual(["c2", "c1"]);
    expect(calls.known.get("c1")?.state).toBe("talking");
  });

  it("forgets old calls that nobody shows, never a running one or one that is shown", () => {
    const calls = useCallsStore();
    calls.arrive(aCall("running", { state: "talking" }));
    calls.put(aCall("shown", { state: "ended", result: "missed" }));
    const unregister = calls.keep(() => ["shown"]);
    for (let index = 0; index < 5000; index += 1)
      calls.arrive(aCall(`c${String(index).padStart(5, "0")}`, { state: "ended", result: "missed" }));
    expect(calls.known.size).toBeLessThan(2100);
    expect(calls.arrived.length).toBeLessThanOrEqual(500);
    expect(calls.arrived.every((id) => calls.known.has(id))).toBe(true);
    expect([calls.known.has("running"), calls.known.has("shown"), calls.known.has("c00000")]).toEqual([
      true,
      true,
      false,
    ]);
    unregister();
    for (let index = 5000; index < 8000; index += 1) calls.arrive(aCall(`c0${index}`, { state: "ended" }));
    expect(calls.known.has("shown")).toBe(false);
  });

  it("keeps a finished recording when a late call event still calls it pending", () => {
    const calls = useCallsStore();
    calls.put(aCall("c1", { state: "ended", recordings: [aRecording("r1")] }));
    calls.putRecording("c1", aRecording("r1", { state: "ready", duration_ms: 14_000 }));
    calls.arrive(aCall("c1", { state: "ended", recordings: [aRecording("r1"), aRecording("r2", { segment: 2 })] }));
    expect(calls.known.get("c1")?.recordings.map(({ id, state }) => [id, state])).toEqual([
      ["r1", "ready"],
      ["r2", "pending"],
    ]);
  });

  it("ignores a recording of an unknown call", () => {
    const calls = useCallsStore();
    calls.putRecording("nobody", aRecording("r1"));
    expect(calls.known.size).toBe(0);
  });
});

describe("a call", () => {
  it("is shown under the other party's number and name", () => {
    const outgoing = aCall("c1", { direction: "outgoing", caller_number: null, dialled_number: "62345678" });
    expect(partyNumber(outgoing)).toBe("62345678");
    expect(partyNumber(aCall("c2"))).toBe("13800138000");
    expect(partyName(aCall("c3", { caller_name: "EXCHANGE" }))).toBe("EXCHANGE");
    const known = [
      { id: "1", name: "Wang", company: "" },
      { id: "2", name: "", company: "Huaxin" },
    ];
    expect(partyName(aCall("c4", { caller_name: "EXCHANGE", customers: known }))).toBe("Wang / Huaxin");
  });

  it("fits a filter by every part of it", () => {
    const call = aCall("c1", { state: "ended", result: "missed", channel: 3 });
    expect(matchesFilter(call, {})).toBe(true);
    expect(matchesFilter(call, { direction: "incoming", result: "missed", channel: 3, number: "0013 8" })).toBe(true);
    expect(matchesFilter(call, { direction: "outgoing" })).toBe(false);
    expect(matchesFilter(call, { result: "answered" })).toBe(false);
    expect(matchesFilter(call, { channel: 4 })).toBe(false);
    expect(matchesFilter(call, { number: "999" })).toBe(false);
    expect(matchesFilter({ ...call, caller_number: null }, { number: "1" })).toBe(false);
  });
});

describe("the state of a channel", () => {
  const idle = {
    number: 1,
    line: "present" as const,
    hook: "on" as const,
    ringing: false,
    volts: 48,
    level_dbm0: -70,
    recording: false,
  };

  it("is trouble first, then the call, then the line", () => {
    expect(channelState(idle, undefined)).toBe("idle");
    expect(channelState({ ...idle, line: "lost" }, aCall("c1", { state: "talking" }))).toBe("cut");
    expect(channelState(idle, aCall("c1", { state: "talking" }))).toBe("talking");
    expect(channelState({ ...idle, line: "unknown" }, undefined)).toBe("unknown");
    expect(channelState({ ...idle, enabled: false, line: "unknown" }, undefined)).toBe("switched_off");
    expect(channelState({ ...idle, enabled: false }, aCall("c1", { state: "talking" }))).toBe("talking");
    expect(channelState({ ...idle, ringing: true }, undefined)).toBe("ringing");
    expect(channelState({ ...idle, hook: "off" }, undefined)).toBe("off_hook");
    expect(channelState(idle, aCall("c1", { state: "ended" }))).toBe("idle");
  });
});
