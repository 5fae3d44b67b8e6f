/** Which call's recording the player plays. */

import { defineStore } from "pinia";
import { ref } from "vue";
import { useCallsStore } from "./calls";

export const usePlayerStore = defineStore("player", () => {
  const calls = useCallsStore();
  const callId = ref<string | null>(null);
  const recordingId = ref<string | null>(null);
  calls.keep(() => (callId.value ? [callId.value] : []));

  /** Opens a call's first recording that is ready. */
  function open(id: string): void {
    callId.value = id;
    recordingId.value = calls.known.get(id)?.recordings.find((recording) => recording.state === "ready")?.id ?? null;
  }

  function close(): void {
    callId.value = null;
    recordingId.value = null;
  }

  return { callId, recordingId, open, close };
});
