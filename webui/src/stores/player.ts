/** Which call's recording the player plays. */

import { defineStore } from "pinia";
import { ref } from "vue";
import { useCallsStore } from "./calls";

export const usePlayerStore = defineStore("player", () => {
  const calls = useCallsStore();
  const callId = ref<string | null>(null);
  const recordingId = ref<string | null>(null);
  /** A moment of the call that somebody asked for, ms from its beginning. */
  const wanted_ms = ref<number | null>(null);
  calls.keep(() => (callId.value ? [callId.value] : []));

  /** Opens a call's recording that is ready (of several the one that has the moment), of a running call all up to now. */
  function open(id: string, at_ms: number | null = null): void {
    const call = calls.known.get(id);
    const ready = (call?.state === "ended" ? call.recordings : []).filter((recording) => recording.state === "ready");
    const at = call && at_ms !== null ? Date.parse(call.started_at) + at_ms : null;
    const begun = ready.filter((recording) => at !== null && Date.parse(recording.started_at ?? "") <= at);
    wanted_ms.value = at_ms;
    callId.value = id;
    recordingId.value = (begun.at(-1) ?? ready[0])?.id ?? null;
  }

  function close(): void {
    callId.value = null;
    recordingId.value = null;
    wanted_ms.value = null;
  }

  return { callId, recordingId, wanted_ms, open, close };
});
