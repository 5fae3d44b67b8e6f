/** USB sticks as they are now: read once somebody looks, then kept by the event stream. */

import { defineStore } from "pinia";
import { computed, ref } from "vue";
import { type KnownStick, readSticks, type Stick, type StickEvent, type Sticks } from "@/api/sticks";

/** In these states something is on its way to the stick. */
const BUSY = ["checking", "writing", "flushing"];

/** What people call a stick: its name in the office, else what is written on it. */
export const nameOf = (stick: Pick<Stick, "name" | "label" | "model" | "id">) =>
  stick.name || stick.label || stick.model || stick.id;
export const isBusy = (stick: Stick) => BUSY.includes(stick.state);
/** Whether a job can write to it, now or once another one is done. */
export const isUsable = (stick: Stick) =>
  !stick.write_protected && (stick.state === "seen" || stick.state === "mounted" || isBusy(stick));
/** Whether it may be made safe to pull out: not while somebody writes, not when it is already. */
export const canEject = (stick: Stick) => stick.state === "mounted";

export const useSticksStore = defineStore("sticks", () => {
  const sticks = ref<Stick[]>([]);
  const known = ref<KnownStick[]>([]);
  const allowed = ref<Sticks["allowed"]>("all");
  const loaded = ref(false);
  const problem = ref<unknown>(null);
  const usable = computed(() => sticks.value.filter(isUsable));
  let turn = 0;
  let reading = false;
  let stale = false;

  /** Reads all of them, and again when the stream told of something meanwhile. */
  async function load(): Promise<void> {
    turn += 1;
    const mine = turn;
    reading = true;
    stale = false;
    try {
      const found = await readSticks();
      if (mine !== turn) return;
      sticks.value = found.media;
      known.value = found.known;
      allowed.value = found.allowed;
      loaded.value = true;
      problem.value = null;
    } catch (error) {
      if (mine === turn) problem.value = error;
    }
    if (mine !== turn) return;
    reading = false;
    if (stale) await load();
  }

  /** What the stream told meanwhile was missed: read again what somebody looks at. */
  function refresh(): void {
    if (loaded.value || reading || problem.value) void load();
  }

  /** A stick came, changed or went. Nobody has looked yet: then nothing is kept. */
  function take({ kind, medium }: StickEvent): void {
    stale = reading;
    if (!loaded.value) return;
    const others = sticks.value.filter((one) => one.id !== medium.id);
    const at = sticks.value.findIndex((one) => one.id === medium.id);
    if (kind === "medium_gone") sticks.value = others;
    else if (at < 0) sticks.value = [...others, medium];
    else sticks.value = sticks.value.map((one) => (one.id === medium.id ? medium : one));
  }

  function clear(): void {
    turn += 1;
    reading = false;
    sticks.value = [];
    known.value = [];
    loaded.value = false;
    problem.value = null;
  }

  return { sticks, known, allowed, loaded, problem, usable, load, refresh, take, clear };
});
