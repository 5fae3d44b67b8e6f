import { describe, expect, it } from "vitest";
import type { Call, ChannelReading } from "@/api/types";
import { adviceOf, type Checks, isDone, look, numberText } from "@/text/lineChecks";
import { aCall } from "./samples";

const QUIET: ChannelReading = {
  number: 1,
  line: "present",
  hook: "on",
  ringing: false,
  volts: -48.2,
  level_dbm0: -65,
  recording: false,
};
const see = (before: Checks, reading: Partial<ChannelReading>, call?: Partial<Call>, popped: boolean | null = null) =>
  look(before, { reading: { ...QUIET, ...reading }, call: call ? aCall("a", call) : undefined, popped });

describe("the test call of a line", () => {
  it("passes all six checks on a call that is as it should be", () => {
    let seen = see({}, {});
    expect(seen).toEqual({ volts: { state: "ok", value: "48 V" } });
    const ringing = { direction: "incoming", state: "ringing", caller_number: null } as const;
    seen = see(seen, { ringing: true }, ringing);
    expect(seen.ring?.state).toBe("ok");
    expect(seen.number).toBeUndefined();
    const known = { ...ringing, caller_number: "13812345678" };
    seen = see(seen, { ringing: true }, known, true);
    expect(seen.number).toEqual({ state: "ok", value: "13812345678" });
    expect(seen.popup?.state).toBe("ok");
    expect(isDone(seen)).toBe(false);
    seen = see(seen, { hook: "off", volts: -8, level_dbm0: -21.4 }, { ...known, state: "talking" }, true);
    expect(seen.volts).toEqual({ state: "ok", value: "48 V" });
    expect(seen.audio).toEqual({ state: "ok", value: "-21 dBm0" });
    expect(isDone(seen)).toBe(true);
    expect(see(seen, {}, undefined)).toEqual(seen);
  });

  it("says that no number came once the call goes on without one, and lets the next call mend it", () => {
    const answered = { direction: "incoming", state: "talking", caller_number: null, absence: null } as const;
    const seen = see({}, { hook: "off" }, answered, false);
    expect(seen.number).toEqual({ state: "bad", value: "" });
    expect(seen.popup).toBeUndefined();
    const known = { ...answered, caller_number: "138" };
    expect(see({}, { hook: "off" }, known, false).popup?.state).toBe("bad");
    expect(see(seen, {}, { ...answered, absence: "withheld" }, true).number).toEqual({
      state: "ok",
      value: "withheld",
    });
  });

  it("tells a dead line, and that it is alive again", () => {
    const dead = see({ ring: { state: "ok", value: "" } }, { line: "lost", volts: 0, hook: "off" });
    expect(dead).toEqual({ volts: { state: "bad", value: "" }, ring: { state: "ok", value: "" } });
    expect(see(dead, { volts: 12 }).volts).toEqual({ state: "bad", value: "12 V" });
    expect(see(dead, {}).volts).toEqual({ state: "ok", value: "48 V" });
  });

  it("does not take silence, or a call without a recording, for sound", () => {
    const call = { direction: "incoming", state: "talking", caller_number: "1" } as const;
    expect(see({}, { hook: "off", level_dbm0: -60 }, call).audio).toBeUndefined();
    const ended = { ...call, state: "ended", answered_at: "2026-11-22T10:00:00.000Z", recordings: [] } as const;
    expect(see({}, {}, { ...ended, recordings: [] }).audio).toBeUndefined();
  });

  it("names the PBX where the PBX has to send the number", () => {
    expect([adviceOf("number", "exchange"), adviceOf("number", "extension"), adviceOf("volts", "extension")]).toEqual([
      "number",
      "numberExtension",
      "volts",
    ]);
    expect(numberText("withheld", String, (why) => `<${why}>`)).toBe("<withheld>");
    expect(numberText("138", (number) => `+${number}`, String)).toBe("+138");
  });
});
