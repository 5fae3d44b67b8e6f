/** The test call of one line: what was seen of it so far. Pure: readings and calls in, checks out. */

import type { Call, ChannelReading } from "@/api/types";

export const CHECKS = ["volts", "ring", "number", "hook", "audio", "popup"] as const;
export type CheckName = (typeof CHECKS)[number];

export interface Check {
  state: "ok" | "bad";
  /** What was measured or heard, as it is shown: `48 V`, a number, "". */
  value: string;
}
export type Checks = Partial<Record<CheckName, Check>>;

export interface Seen {
  reading: ChannelReading;
  /** The call that runs, or ended last since the test began. */
  call: Call | undefined;
  /** Whether the call popped up here; null: that is not known yet. */
  popped: boolean | null;
}

/** A line in order has more than this on-hook, a line that carries speech is louder than this. */
const FEWEST_VOLTS = 20;
const SPEECH_DBM0 = -40;

const ok = (value = ""): Check => ({ state: "ok", value });
const bad = (value = ""): Check => ({ state: "bad", value });

function voltsCheck({ reading }: Seen): Check | undefined {
  if (reading.line === "lost") return bad();
  if (reading.volts === null || reading.hook !== "on" || reading.ringing) return undefined;
  const volts = Math.abs(reading.volts);
  return volts >= FEWEST_VOLTS ? ok(`${volts.toFixed(0)} V`) : bad(`${volts.toFixed(0)} V`);
}

function numberCheck({ call }: Seen): Check | undefined {
  if (call?.direction !== "incoming") return undefined;
  if (call.caller_number) return ok(call.caller_number);
  if (call.absence) return ok(call.absence);
  return call.state === "ringing" ? undefined : bad();
}

function audioCheck({ reading, call }: Seen): Check | undefined {
  if (call?.state === "talking" && (reading.level_dbm0 ?? -99) > SPEECH_DBM0) {
    return ok(`${Math.round(reading.level_dbm0 ?? 0)} dBm0`);
  }
  if (call?.state !== "ended" || !call.answered_at) return undefined;
  if (call.recordings.some((one) => one.state === "ready")) return ok();
  return call.recordings.some((one) => one.state === "lost") ? bad() : undefined;
}

function popupCheck({ call, popped }: Seen): Check | undefined {
  if (call?.direction !== "incoming" || popped === null) return undefined;
  // Without a number nothing needs to pop up.
  return popped ? ok() : call.caller_number ? bad() : undefined;
}

/** The checks after one more look. What was seen once stays seen; what was bad may turn good with the next call. */
export function look(before: Checks, seen: Seen): Checks {
  const { reading, call } = seen;
  const rings = reading.ringing || call?.direction === "incoming";
  const lifted = reading.line !== "lost" && (reading.hook === "off" || call?.state === "talking");
  const fresh: Checks = {
    volts: voltsCheck(seen),
    ring: rings ? ok() : undefined,
    number: numberCheck(seen),
    hook: lifted ? ok() : undefined,
    audio: audioCheck(seen),
    popup: popupCheck(seen),
  };
  const after: Checks = {};
  for (const name of CHECKS) {
    const now = fresh[name];
    const then = before[name];
    // The voltage is of now; of everything else a good result is kept.
    const found = name === "volts" ? (now ?? then) : then?.state === "ok" ? then : (now ?? then);
    if (found) after[name] = found;
  }
  return after;
}

export const isDone = (checks: Checks) => CHECKS.every((name) => checks[name]?.state === "ok");

/** What to say of a check that is bad: the key of the sentence; an extension gets its number from the PBX. */
export function adviceOf(name: CheckName, kind: "exchange" | "extension"): string {
  return name === "number" && kind === "extension" ? "numberExtension" : name;
}

/** What was heard of the number, in words: `say` translates why there is none. */
export function numberText(value: string, group: (number: string) => string, say: (absence: string) => string): string {
  return ["withheld", "unavailable"].includes(value) ? say(value) : group(value);
}
