/** Which call's recording the player plays. */

import { defineStore } from "pinia";
import { ref } from "vue";
import { useCallsStore } from "./calls";

export const usePlayerStore = defineStore("player", () => {
  const calls = useCallsStore();
  const callId = ref<string | null>(null);
  const recordingId = ref<string | null>(null);
  calls.keep(() => (callId.value ? [callId.value] : []));

  /** Opens a call's first recording that is ready, of a running call all there is up to now. */
  function open(id: string): void {
    callId.value = id;
    const call = calls.known.get(id);
    const cut = call?.state === "ended" ? call.recordings : [];
    recordingId.value = cut.find((recording) => recording.state === "ready")?.id ?? null;
  }

  function close(): void {
    callId.value = null;
    recordingId.value = null;
  }

  return { callId, recordingId, open, close };
});
