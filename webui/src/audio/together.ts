/** Several recordings heard at once, each at its place in time. Pure: the tests look at it without a browser. */

import type { Call, Recording } from "@/api/types";

/** One recording of one call; Unix ms. */
export interface Track {
  callId: string;
  recording: Recording;
  from_ms: number;
  to_ms: number;
}

/** Beyond it people do not tell voices apart, and browsers open no more. */
export const MOST_AT_ONCE = 8;
/** What is further from its place than this is put there again. */
export const DRIFT_S = 0.25;

/** The recordings of ended calls that can be heard. */
export function tracksOf(calls: Call[]): Track[] {
  return calls.flatMap((call) =>
    (call.state === "ended" ? call.recordings : []).flatMap((recording) => {
      if (recording.state !== "ready" || recording.started_at === null || !recording.duration_ms) return [];
      const from_ms = Date.parse(recording.started_at);
      return [{ callId: call.id, recording, from_ms, to_ms: from_ms + recording.duration_ms }];
    }),
  );
}

/** From the first sample of all to the last one; null: there is nothing to hear. */
export function spanOf(tracks: Track[]): { from_ms: number; to_ms: number } | null {
  if (!tracks.length) return null;
  return {
    from_ms: Math.min(...tracks.map((track) => track.from_ms)),
    to_ms: Math.max(...tracks.map((track) => track.to_ms)),
  };
}

/** Where a track is at a moment, s from its beginning; null: it is not heard then. */
export const placeAt = (track: Track, at_ms: number): number | null =>
  at_ms >= track.from_ms && at_ms < track.to_ms ? (at_ms - track.from_ms) / 1000 : null;

/** The next moment at which something is heard: now, or where the next track begins; null: nothing comes any more. */
export function nextHeard(tracks: Track[], at_ms: number): number | null {
  if (tracks.some((track) => placeAt(track, at_ms) !== null)) return at_ms;
  const later = tracks.map((track) => track.from_ms).filter((from_ms) => from_ms > at_ms);
  return later.length ? Math.min(...later) : null;
}
