/** The last minute of one line: volts and level, as the board tells them. */

import { useIntervalFn } from "@vueuse/core";
import { shallowRef, watch } from "vue";
import { boxNow_ms } from "@/api/http";
import type { ChannelReading } from "@/api/types";
import { useBoardStore } from "./board";

export const SPAN_MS = 60_000;
const LOOK_EVERY_MS = 500;

export interface Sample {
  at_ms: number;
  volts: number | null;
  level_dbm0: number | null;
}

/** The samples of the span with one more; what is older than the span goes. */
export function withSample(samples: Sample[], reading: ChannelReading | undefined, at_ms: number): Sample[] {
  const fresh: Sample = {
    at_ms,
    volts: reading?.volts === null || reading === undefined ? null : Math.abs(reading.volts),
    level_dbm0: reading?.level_dbm0 ?? null,
  };
  return [...samples.filter((one) => one.at_ms > at_ms - SPAN_MS - LOOK_EVERY_MS), fresh];
}

/** Watches a channel as long as the component lives. */
export function useLineTrace(channel: () => number) {
  const board = useBoardStore();
  const samples = shallowRef<Sample[]>([]);
  const now_ms = shallowRef(boxNow_ms());

  function look(): void {
    now_ms.value = boxNow_ms();
    samples.value = withSample(samples.value, board.channels.get(channel()), now_ms.value);
  }
  const watching = useIntervalFn(look, LOOK_EVERY_MS, { immediateCallback: true });
  watch(channel, () => {
    samples.value = [];
    look();
  });
  return { samples, now_ms, watching };
}
