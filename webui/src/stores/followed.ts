/** Keeps the rows of a list current that other people change, too. */

import { onScopeDispose, watch } from "vue";
import { ApiError } from "@/api/http";
import type { OfficeEvent } from "@/api/types";
import { useLiveStore } from "./live";
import { onOffice } from "./officeNews";

interface Followed {
  reload: () => unknown;
  drop: (ids: Iterable<string>) => void;
}

/**
 * `look` takes over the row that an event of one of these kinds is about; what the box knows no more leaves the list.
 * After the connection was away everything is read again.
 */
export function followRows(
  list: Followed,
  kinds: string[],
  idOf: (event: OfficeEvent) => unknown,
  look: (id: string) => Promise<void>,
): void {
  const live = useLiveStore();
  async function lookAt(id: string): Promise<void> {
    try {
      await look(id);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) list.drop([id]);
    }
  }
  for (const kind of kinds) onScopeDispose(onOffice(kind, (event) => lookAt(String(idOf(event)))));
  watch(
    () => live.state,
    (state, before) => state === "live" && before === "reconnecting" && list.reload(),
  );
}
