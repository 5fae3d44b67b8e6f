/** What a hold is about, as people read it. */

import type { Hold } from "@/api/types";
import { groupNumber, plainNumber } from "@/text/phoneNumber";

/** A number in its groups; anything else as it is. */
export function holdSubject(hold: Pick<Hold, "kind" | "subject">): string {
  const subject = hold.subject ?? "";
  return hold.kind === "number" ? groupNumber(plainNumber(subject)) : subject;
}
