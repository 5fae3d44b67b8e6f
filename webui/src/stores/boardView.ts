/** How the live board is looked at: which channels, in which parts, as tiles or rows; kept with this browser. */

import { useLocalStorage } from "@vueuse/core";
import { computed, ref } from "vue";
import type { Channel } from "@/api/types";
import { groupNumber, plainNumber } from "@/text/phoneNumber";
import { type ChannelState, channelState, useBoardStore } from "./board";
import { partyName, partyNumber } from "./calls";

export const SHOWN_STATES: ChannelState[] = [
  "ringing",
  "dialling",
  "talking",
  "off_hook",
  "idle",
  "cut",
  "unknown",
  "switched_off",
];
export const PARTS = ["group", "card", "none"] as const;
export type Parts = (typeof PARTS)[number];
export const SHAPES = ["tiles", "rows"] as const;

export interface BoardPart {
  key: string;
  channels: Channel[];
}

/** Channels in parts, each in the order in which its first channel comes. */
export function inParts(channels: Channel[], parts: Parts): BoardPart[] {
  const found = new Map<string, Channel[]>();
  for (const channel of channels) {
    const key = parts === "none" ? "" : String((parts === "group" ? channel.group : channel.card_id) ?? "");
    const others = found.get(key);
    if (others) others.push(channel);
    else found.set(key, [channel]);
  }
  return [...found].map(([key, inside]) => ({ key, channels: inside }));
}

export function useBoardView() {
  const board = useBoardStore();
  const looks = useLocalStorage<{ parts: Parts; shape: (typeof SHAPES)[number] }>(
    "tapdeck.board",
    { parts: "group", shape: "tiles" },
    { mergeDefaults: true },
  );
  const text = ref("");
  const states = ref(new Set<ChannelState>());
  const stateOf = (channel: Channel) => channelState(channel, board.callOf(channel.number));

  const counts = computed(() => {
    const found = new Map<ChannelState, number>();
    for (const channel of board.sorted) {
      const state = stateOf(channel);
      found.set(state, (found.get(state) ?? 0) + 1);
    }
    return SHOWN_STATES.flatMap((state) => (found.has(state) ? [{ state, count: found.get(state) ?? 0 }] : []));
  });

  /** The words are looked for in number and name of the channel, and in what is known of its call. */
  function matches(channel: Channel, words: string): boolean {
    if (!words || String(channel.number) === words || channel.name.toLowerCase().includes(words)) return true;
    const call = board.callOf(channel.number);
    if (!call) return false;
    const number = partyNumber(call) ?? "";
    const digits = plainNumber(words);
    return (
      partyName(call).toLowerCase().includes(words) ||
      groupNumber(number).includes(words) ||
      (digits !== "" && plainNumber(number).includes(digits))
    );
  }
  const shown = computed(() => {
    const words = text.value.trim().toLowerCase();
    if (!words && !states.value.size) return board.sorted;
    return board.sorted.filter(
      (channel) => (!states.value.size || states.value.has(stateOf(channel))) && matches(channel, words),
    );
  });
  const parts = computed(() => inParts(shown.value, looks.value.parts));
  /** Those that need an eye, for the wall: trouble and calls before what is quiet. */
  const busy = computed(() => {
    const rank = new Map(
      ["cut", "ringing", "dialling", "talking", "off_hook", "unknown"].map((state, at) => [state, at]),
    );
    return shown.value
      .map((channel) => ({ channel, at: board.alarmOf(channel) ? -1 : (rank.get(stateOf(channel)) ?? null) }))
      .filter((one): one is { channel: Channel; at: number } => one.at !== null)
      .sort((one, two) => one.at - two.at || one.channel.number - two.channel.number)
      .map(({ channel }) => channel);
  });
  const quiet = computed(() => {
    const others = new Set(busy.value.map((channel) => channel.number));
    return shown.value.filter((channel) => !others.has(channel.number));
  });

  function toggleState(state: ChannelState): void {
    const fresh = new Set(states.value);
    if (!fresh.delete(state)) fresh.add(state);
    states.value = fresh;
  }
  function clear(): void {
    text.value = "";
    states.value = new Set();
  }

  return { looks, text, states, counts, shown, parts, busy, quiet, toggleState, clear };
}
