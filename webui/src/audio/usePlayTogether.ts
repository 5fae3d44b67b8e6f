/** Plays several calls at once on one clock; each can be silenced alone. */

import { useIntervalFn } from "@vueuse/core";
import { computed, onScopeDispose, ref, watch } from "vue";
import { audioUrl } from "@/api/endpoints";
import type { Call } from "@/api/types";
import { DRIFT_S, nextHeard, placeAt, spanOf, tracksOf } from "./together";

const TICK_MS = 100;

export function usePlayTogether(calls: () => Call[]) {
  const playing = ref(false);
  const at_ms = ref(0);
  const speed = ref(1);
  const muted = ref(new Set<string>());
  const failed = ref(new Set<string>());
  const tracks = computed(() => tracksOf(calls()));
  const span = computed(() => spanOf(tracks.value));
  const players = new Map<string, HTMLAudioElement>();
  let last_ms = 0;

  function playerOf(callId: string, id: string, url: string): HTMLAudioElement {
    const known = players.get(id);
    if (known) return known;
    const fresh = new Audio(url);
    fresh.preload = "auto";
    fresh.addEventListener("error", () => {
      failed.value = new Set([...failed.value, callId]);
    });
    players.set(id, fresh);
    return fresh;
  }

  /** Brings every track to where the clock is; true if those that are heard now are ready. */
  function settle(): boolean {
    let ready = true;
    for (const track of tracks.value) {
      const place_s = placeAt(track, at_ms.value);
      const { id } = track.recording;
      if (place_s === null || !playing.value) {
        players.get(id)?.pause();
        continue;
      }
      const player = playerOf(track.callId, id, audioUrl(track.recording));
      player.muted = muted.value.has(track.callId);
      player.playbackRate = speed.value;
      if (Math.abs(player.currentTime - place_s) > DRIFT_S * speed.value) player.currentTime = place_s;
      if (player.paused && !player.error) void player.play().catch(() => undefined);
      if (player.readyState < HTMLMediaElement.HAVE_FUTURE_DATA && !player.error && !player.ended) ready = false;
    }
    return ready;
  }

  function tick(): void {
    const now_ms = performance.now();
    const passed_ms = (now_ms - last_ms) * speed.value;
    last_ms = now_ms;
    // Whoever is not loaded yet is waited for, so that all stay together.
    if (settle()) at_ms.value += passed_ms;
    const next_ms = nextHeard(tracks.value, at_ms.value);
    if (next_ms === null) pause();
    else at_ms.value = next_ms; // nobody listens to the silence between calls
  }
  const clock = useIntervalFn(tick, TICK_MS, { immediate: false });

  function play(): void {
    if (!span.value) return;
    if (nextHeard(tracks.value, at_ms.value) === null || at_ms.value < span.value.from_ms)
      at_ms.value = span.value.from_ms;
    playing.value = true;
    last_ms = performance.now();
    settle();
    clock.resume();
  }
  function pause(): void {
    playing.value = false;
    clock.pause();
    settle();
  }
  const toggle = () => (playing.value ? pause() : play());
  function seek(to_ms: number): void {
    at_ms.value = to_ms;
    settle();
  }
  function mute(callId: string): void {
    const fresh = new Set(muted.value);
    if (!fresh.delete(callId)) fresh.add(callId);
    muted.value = fresh;
    settle();
  }

  /** What is heard no more is let go. */
  function forget(kept: Set<string>): void {
    for (const [id, player] of players) {
      if (kept.has(id)) continue;
      player.pause();
      player.removeAttribute("src");
      player.load();
      players.delete(id);
    }
  }
  watch(
    () => tracks.value.map((track) => track.recording.id).join(),
    () => {
      forget(new Set(tracks.value.map((track) => track.recording.id)));
      if (!span.value) pause();
      else if (at_ms.value < span.value.from_ms || at_ms.value > span.value.to_ms) at_ms.value = span.value.from_ms;
    },
    { immediate: true },
  );
  watch(speed, settle);
  onScopeDispose(() => {
    pause();
    forget(new Set());
  });
  return { playing, at_ms, speed, muted, failed, span, toggle, pause, seek, mute };
}
