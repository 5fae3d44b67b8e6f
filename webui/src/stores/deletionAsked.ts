/** Which recordings are to go, and what they are called when somebody is asked. */

import type { Call, Recording } from "@/api/types";
import { groupNumber } from "@/text/phoneNumber";
import { partyName, partyNumber } from "./calls";
import { deletable } from "./deletions";

export interface DeletionAsked {
  ids: string[];
  /** So many calls they are of. */
  calls: number;
  /** Whose it is and when it began, if it is a single one. */
  who: string;
  at: string;
}

export function ofCalls(calls: Call[]): DeletionAsked {
  const only = calls.length === 1 ? calls[0] : undefined;
  const who = only ? [groupNumber(partyNumber(only)), partyName(only)].filter(Boolean).join(" ") : "";
  return { ids: deletable(calls), calls: calls.length, who, at: only?.started_at ?? "" };
}

/** A recording that belongs to no call. */
export const ofRecording = (recording: Recording, who: string): DeletionAsked => ({
  ids: [recording.id],
  calls: 1,
  who,
  at: recording.started_at ?? "",
});
