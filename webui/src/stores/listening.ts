/** Live listening: which channels are heard, and how loud they are. */

import { defineStore } from "pinia";
import { reactive, ref } from "vue";
import { liveUrl } from "@/api/endpoints";
import { failure } from "@/api/http";
import { LiveBlocks, level_dbm0 } from "@/audio/liveBlocks";
import { LivePlayer } from "@/audio/livePlayer";

const RATE_HZ = 8000;
const AGAIN_MS = 1000;

export const useListeningStore = defineStore("listening", () => {
  const channels = reactive(new Set<number>());
  const levels = reactive(new Map<number, number>());
  const error = ref<unknown>(null);
  let player: LivePlayer | undefined;
  let stream: AbortController | undefined;

  /** Begins or ends to listen to a channel. */
  function toggle(channel: number): void {
    if (!channels.delete(channel)) channels.add(channel);
    levels.delete(channel);
    error.value = null;
    void follow();
  }

  /** Ends all listening. */
  function stop(): void {
    stream?.abort();
    channels.clear();
    levels.clear();
    player?.close();
    player = undefined;
  }

  /** One answer brings all channels: a browser opens only a few connections to one box. */
  async function follow(): Promise<void> {
    stream?.abort();
    if (!channels.size) return stop();
    player ??= new LivePlayer(RATE_HZ);
    const mine = new AbortController();
    stream = mine;
    try {
      await hear([...channels], mine.signal);
    } catch (reason) {
      if (mine.signal.aborted) return;
      if (!(reason instanceof TypeError)) {
        error.value = reason;
        return stop();
      }
    }
    if (!mine.signal.aborted) setTimeout(() => stream === mine && void follow(), AGAIN_MS);
  }

  async function hear(numbers: number[], signal: AbortSignal): Promise<void> {
    const answer = await fetch(liveUrl(numbers), { signal, credentials: "same-origin", cache: "no-store" });
    if (!answer.ok || !answer.body) throw await failure(answer);
    const reader = answer.body.getReader();
    const blocks = new LiveBlocks();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const block of blocks.push(value)) {
        levels.set(block.channel, level_dbm0(block.tracks));
        player?.play(block);
      }
    }
  }

  return { channels, levels, error, toggle, stop };
});
