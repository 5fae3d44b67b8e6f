/** The channels and line cards as they are now. */

import { defineStore } from "pinia";
import { computed, reactive, ref } from "vue";
import { readCards, readChannels } from "@/api/endpoints";
import type { Call, Card, Channel, ChannelReading } from "@/api/types";
import { useCallsStore } from "./calls";

export type ChannelState =
  | "idle"
  | "ringing"
  | "dialling"
  | "talking"
  | "off_hook"
  | "cut"
  | "unknown"
  | "switched_off";

/** What a channel is doing, in one word: trouble first, then the call, then the bare line. */
export function channelState(channel: ChannelReading & { enabled?: boolean }, call: Call | undefined): ChannelState {
  if (channel.line === "lost") return "cut";
  if (call && call.state !== "ended") return call.state;
  if (channel.enabled === false) return "switched_off";
  if (channel.line === "unknown") return "unknown";
  if (channel.ringing) return "ringing";
  return channel.hook === "off" ? "off_hook" : "idle";
}

/** What needs somebody: the line has no voltage, or the card that serves it is gone. */
export type ChannelAlarm = "line" | "card" | null;

/** With more channels than these nobody follows each level: it shows at every third reading, or when none comes. */
const MANY = 64;
const BEATS = 3;
const LEVELS_WAIT_MS = 700;

export const useBoardStore = defineStore("board", () => {
  const calls = useCallsStore();
  const channels = reactive(new Map<number, Channel>());
  const running = reactive(new Map<number, string>());
  const cards = ref<Card[]>([]);
  const loaded = ref(false);
  const failed = ref(false);

  /** Levels and voltages that wait to be shown. */
  const levels = new Map<number, Pick<ChannelReading, "level_dbm0" | "volts">>();
  let beat = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const sorted = computed(() => [...channels.values()].sort((one, two) => one.number - two.number));

  /** The running call of a channel. */
  function callOf(number: number): Call | undefined {
    const id = running.get(number);
    const call = id === undefined ? undefined : calls.known.get(id);
    return call?.state === "ended" ? undefined : call;
  }

  const lostCards = computed(() => new Set(cards.value.flatMap((card) => (card.connected ? [] : [card.card_id]))));
  /** Why a channel does not work, if it does not. */
  function alarmOf(channel: Channel): ChannelAlarm {
    if (channel.card_id !== null && lostCards.value.has(channel.card_id)) return "card";
    return channel.line === "lost" ? "line" : null;
  }

  async function load(): Promise<void> {
    try {
      const fresh = await readChannels();
      channels.clear();
      running.clear();
      for (const channel of fresh) {
        channels.set(channel.number, channel);
        if (channel.call) {
          calls.put(channel.call);
          running.set(channel.number, channel.call.id);
        }
      }
      failed.value = false;
      loaded.value = true;
    } catch {
      failed.value = true;
    }
  }

  async function loadCards(): Promise<void> {
    try {
      cards.value = await readCards();
    } catch {
      // The strip keeps its last values; the connection state already tells that the box is away.
    }
  }

  /** What a line does shows at once; how loud it is, of many lines, only now and then: that is most of the work. */
  function takeReadings(readings: ChannelReading[]): void {
    beat += 1;
    const calm = channels.size > MANY && beat % BEATS !== 0;
    for (const reading of readings) {
      const channel = channels.get(reading.number);
      if (!channel) continue;
      const { level_dbm0, volts, ...states } = reading;
      // Vue tells nobody of a field that stays as it is.
      Object.assign(channel, calm ? states : reading);
      if (calm) levels.set(reading.number, { level_dbm0, volts });
      else levels.delete(reading.number);
    }
    if (calm) timer ??= setTimeout(showLevels, LEVELS_WAIT_MS);
    else showLevels();
  }

  function showLevels(): void {
    clearTimeout(timer);
    timer = undefined;
    for (const [number, level] of levels) Object.assign(channels.get(number) ?? {}, level);
    levels.clear();
  }

  function takeCall(call: Call): void {
    if (call.state !== "ended") running.set(call.channel, call.id);
    else if (running.get(call.channel) === call.id) running.delete(call.channel);
  }

  function takeLine(number: number, present: boolean): void {
    const channel = channels.get(number);
    if (channel) channel.line = present ? "present" : "lost";
  }

  function clear(): void {
    levels.clear();
    channels.clear();
    running.clear();
    cards.value = [];
    loaded.value = false;
  }

  return {
    channels,
    cards,
    loaded,
    failed,
    sorted,
    callOf,
    alarmOf,
    load,
    loadCards,
    takeReadings,
    takeCall,
    takeLine,
    clear,
  };
});
