/** What was noted on calls: read when somebody looks, shared by everything that shows it. */

import { defineStore } from "pinia";
import { reactive } from "vue";
import { addCallNote, readCallNotes, removeCallNote } from "@/api/endpoints";
import type { Call, CallNote, Recording } from "@/api/types";
import { useKeptStore } from "./kept";

/** How far behind the call's beginning a recording begins, ms; what runs still begins with the call. */
export const offsetOf = (call: Call, recording: Recording | undefined): number =>
  recording?.started_at ? Date.parse(recording.started_at) - Date.parse(call.started_at) : 0;

/** A moment of a call as its player tells it: from the beginning of the recording that has it, ms. */
export function momentIn(call: Call | undefined, position_ms: number): number {
  if (!call) return position_ms;
  const offsets = call.recordings.filter((one) => one.state === "ready").map((one) => offsetOf(call, one));
  return position_ms - (offsets.filter((offset_ms) => offset_ms <= position_ms).at(-1) ?? 0);
}

export const useCallNotesStore = defineStore("callNotes", () => {
  const known = reactive(new Map<string, CallNote[]>());
  const failed = reactive(new Set<string>());
  const kept = useKeptStore().part<{ text: string }>("callNote");
  const of = (callId: string): CallNote[] => known.get(callId) ?? [];

  /** What the one who is logged in has typed about a call and not added yet. */
  const typed = (callId: string): string => kept.get(callId)?.text ?? "";
  function type(callId: string, text: string): void {
    if (text) kept.set(callId, { text });
    else kept.delete(callId);
  }

  async function load(callId: string): Promise<void> {
    try {
      known.set(callId, await readCallNotes(callId));
      failed.delete(callId);
    } catch {
      failed.add(callId);
    }
  }

  /** Throws ApiError. */
  async function add(callId: string, note: { text?: string; position_ms?: number; score?: number }): Promise<CallNote> {
    const added = await addCallNote(callId, note);
    known.set(callId, [...of(callId), added]);
    return added;
  }

  /** Throws ApiError. */
  async function remove(note: CallNote): Promise<void> {
    await removeCallNote(note.id);
    known.set(
      note.call_id,
      of(note.call_id).filter((one) => one.id !== note.id),
    );
  }

  function clear(): void {
    known.clear();
    failed.clear();
  }

  return { known, failed, of, typed, type, load, add, remove, clear };
});
