/** The channels and line cards as they are now. */

import { defineStore } from "pinia";
import { computed, reactive, ref } from "vue";
import { readCards, readChannels } from "@/api/endpoints";
import type { Call, Card, Channel, ChannelReading } from "@/api/types";
import { useCallsStore } from "./calls";

export type ChannelState = "idle" | "ringing" | "dialling" | "talking" | "off_hook" | "cut" | "unknown";

/** What a channel is doing, in one word: trouble first, then the call, then the bare line. */
export function channelState(channel: ChannelReading, call: Call | undefined): ChannelState {
  if (channel.line === "lost") return "cut";
  if (call && call.state !== "ended") return call.state;
  if (channel.line === "unknown") return "unknown";
  if (channel.ringing) return "ringing";
  return channel.hook === "off" ? "off_hook" : "idle";
}

export const useBoardStore = defineStore("board", () => {
  const calls = useCallsStore();
  const channels = reactive(new Map<number, Channel>());
  const running = reactive(new Map<number, string>());
  const cards = ref<Card[]>([]);
  const loaded = ref(false);
  const failed = ref(false);

  const sorted = computed(() => [...channels.values()].sort((one, two) => one.number - two.number));

  /** The running call of a channel. */
  function callOf(number: number): Call | undefined {
    const id = running.get(number);
    const call = id === undefined ? undefined : calls.known.get(id);
    return call?.state === "ended" ? undefined : call;
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

  function takeReadings(readings: ChannelReading[]): void {
    for (const reading of readings) {
      const channel = channels.get(reading.number);
      if (channel) Object.assign(channel, reading);
    }
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
    load,
    loadCards,
    takeReadings,
    takeCall,
    takeLine,
    clear,
  };
});
