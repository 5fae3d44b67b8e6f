/** How a call makes itself heard beside its card: a sound, and a notification of the browser; each operator's choice. */

import { useLocalStorage } from "@vueuse/core";
import { defineStore } from "pinia";
import { computed, watch } from "vue";
import type { Call } from "@/api/types";
import { playChime, readyToSound } from "@/audio/chime";
import { useAgentsStore } from "./agents";
import { usePopupsStore } from "./popups";
import { useSessionStore } from "./session";

const RING_EVERY_MS = 3000;
/** Whoever is not there to take calls is not called by sound; the card comes all the same. */
const SILENT_STATES = ["busy", "away"];

export interface Choice {
  sound: boolean;
  notify: boolean;
}

/** The browser can show notifications: only pages that came by https, or from this computer, may. */
export const canNotify = () => globalThis.isSecureContext === true && "Notification" in globalThis;

export const useAlertsStore = defineStore("alerts", () => {
  const session = useSessionStore();
  const popups = usePopupsStore();
  const agents = useAgentsStore();
  const choice = useLocalStorage<Choice>(
    () => `tapdeck.alerts.${session.operator?.staff_no ?? ""}`,
    { sound: false, notify: false },
    { mergeDefaults: true },
  );
  const shown = new Map<string, Notification>();
  let timer: ReturnType<typeof setInterval> | undefined;

  const silent = computed(() => SILENT_STATES.includes(agents.own?.state ?? "idle"));
  const unheard = computed(() => popups.ringing.some((call) => !popups.cards.get(call.id)?.seen));
  const sounds = computed(() => session.ready && choice.value.sound && !silent.value && unheard.value);

  watch(sounds, (on) => {
    clearInterval(timer);
    if (!on) return;
    playChime();
    timer = setInterval(playChime, RING_EVERY_MS);
  });

  /** Switches the sound; the click is what the browser wants before it lets a page sound. */
  function switchSound(): void {
    choice.value = { ...choice.value, sound: !choice.value.sound };
    if (!choice.value.sound) return;
    readyToSound();
    playChime();
  }

  /** Switches notifications, asking the browser's permission first. False: it was refused. */
  async function switchNotify(): Promise<boolean> {
    if (choice.value.notify) {
      choice.value = { ...choice.value, notify: false };
      return true;
    }
    const granted = Notification.permission === "granted" || (await Notification.requestPermission()) === "granted";
    choice.value = { ...choice.value, notify: granted };
    return granted;
  }

  /** A call pops up while somebody looks at something else; one that was made up says so. */
  async function announce(call: Call, number: string, body: string): Promise<void> {
    if (!choice.value.notify || !canNotify() || Notification.permission !== "granted") return;
    if (call.state !== "ringing" || (!document.hidden && document.hasFocus())) return;
    const title = call.simulated ? `${(await import("@/i18n")).i18n.global.t("simulated.label")} · ${number}` : number;
    const one = new Notification(title, { body, tag: call.id, silent: true });
    one.onclick = () => {
      window.focus();
      one.close();
    };
    shown.set(call.id, one);
  }

  /** Something else that is due, such as a task. */
  function remind(title: string, body: string, tag: string): void {
    if (!choice.value.notify || !canNotify() || Notification.permission !== "granted" || document.hasFocus()) return;
    new Notification(title, { body, tag }).onclick = () => window.focus();
  }

  // A notification goes when its call rings no more, or its card was seen.
  watch(
    () => popups.ringing.flatMap((call) => (popups.cards.get(call.id)?.seen ? [] : [call.id])),
    (open) => {
      for (const id of shown.keys()) if (!open.includes(id)) close(id);
    },
  );

  function close(id: string): void {
    shown.get(id)?.close();
    shown.delete(id);
  }

  return { choice, silent, sounds, switchSound, switchNotify, announce, remind };
});
