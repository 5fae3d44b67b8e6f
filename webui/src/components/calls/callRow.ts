/** What a table says of a row that is a call, beside its cells. */

import { useI18n } from "vue-i18n";
import type { Call } from "@/api/types";
import { partyName, partyNumber } from "@/stores/calls";
import { usePlayerStore } from "@/stores/player";
import { groupNumber } from "@/text/phoneNumber";

export function useCallRow() {
  const { t } = useI18n();
  const player = usePlayerStore();
  return {
    label: (call: Call) => `${t(`direction.${call.direction}`)} ${groupNumber(partyNumber(call))} ${partyName(call)}`,
    marks: (call: Call) => ({
      "data-call-id": call.id,
      "data-state": call.state,
      "data-result": call.result ?? "",
      "data-direction": call.direction,
    }),
    playing: (call: Call) => (player.callId === call.id ? "playing" : ""),
  };
}
