/** The guided set-up: how far it is. It is kept in the operator's drafts, to be gone on with at any computer. */

import { defineStore } from "pinia";
import { computed, ref } from "vue";
import { readDraft } from "@/api/box";
import { dropDraft, keepDraft } from "@/api/desk";
import { changeSettings, readSettings } from "@/api/office";
import { setsUp } from "@/places";
import { useKeptStore } from "./kept";
import { useSessionStore } from "./session";

export const STEPS = ["language", "site", "password", "storage", "lines", "desks", "test"] as const;
export type Step = (typeof STEPS)[number];

const DRAFT_KEY = "first-start";
const DONE_KEY = "setup_done";
/** Whoever left it is not led there again before the next log-in in a new tab. */
const LEFT_KEY = "tapdeck.first-start-left";

/** How far somebody was, of what was kept; anything else counts as the beginning. */
export function progressOf(text: string | null): { step: Step; passed: Step[] } {
  const isStep = (one: unknown): one is Step => STEPS.includes(one as Step);
  try {
    const kept = JSON.parse(text ?? "{}") as { step?: unknown; passed?: unknown };
    const passed = Array.isArray(kept.passed) ? kept.passed.filter(isStep) : [];
    return { step: isStep(kept.step) ? kept.step : "language", passed };
  } catch {
    return { step: "language", passed: [] };
  }
}

/** Names of channels that the one who is logged in has typed and not saved yet, by the channel's number. */
export function useTypedNames() {
  const kept = useKeptStore().part<{ name: string }>("lineName");
  const of = (channel: number): string | undefined => kept.get(String(channel))?.name;
  /** `undefined`: saved. */
  function type(channel: number, name: string | undefined): void {
    if (name === undefined) kept.delete(String(channel));
    else kept.set(String(channel), { name });
  }
  return { of, type };
}

export const useFirstStartStore = defineStore("firstStart", () => {
  const session = useSessionStore();
  const step = ref<Step>("language");
  const passed = ref<Step[]>([]);
  /** Null while it is not known. */
  const done = ref<boolean | null>(null);
  const index = computed(() => STEPS.indexOf(step.value));

  function left(): boolean {
    try {
      return sessionStorage.getItem(LEFT_KEY) === session.operator?.staff_no;
    } catch {
      return false;
    }
  }

  /** Whether the one who has just logged in is to be led to the set-up. What cannot be found out leads nowhere. */
  async function isDue(): Promise<boolean> {
    if (!session.operator || !setsUp(session.operator) || left()) return false;
    try {
      const settings = await readSettings(null);
      done.value = settings.find((one) => one.key === DONE_KEY)?.value === true;
      return !done.value;
    } catch {
      return false;
    }
  }

  async function load(): Promise<void> {
    const [settings, kept] = await Promise.all([readSettings(null), readDraft(DRAFT_KEY)]);
    done.value = settings.find((one) => one.key === DONE_KEY)?.value === true;
    ({ step: step.value, passed: passed.value } = progressOf(kept));
  }

  async function go(to: Step): Promise<void> {
    step.value = to;
    await keepDraft(DRAFT_KEY, JSON.stringify({ step: to, passed: passed.value }));
  }

  async function next(): Promise<void> {
    if (!passed.value.includes(step.value)) passed.value = [...passed.value, step.value];
    await go(STEPS[index.value + 1] ?? step.value);
  }

  /** To go on later: nobody is led here again in this tab. */
  function leave(): void {
    try {
      sessionStorage.setItem(LEFT_KEY, session.operator?.staff_no ?? "");
    } catch {
      // Without a session storage it is offered once more after the next reload.
    }
  }

  async function finish(): Promise<void> {
    await changeSettings(null, { [DONE_KEY]: true }, []);
    await dropDraft(DRAFT_KEY);
    done.value = true;
    passed.value = [];
    step.value = "language";
  }

  return { step, passed, done, index, isDue, load, go, next, leave, finish };
});
