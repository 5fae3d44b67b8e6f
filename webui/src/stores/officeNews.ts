/** Who wants to hear at once of what people did: lists and stores register, the event stream tells. */

import type { OfficeEvent } from "@/api/types";

type Listener = (event: OfficeEvent) => unknown;
const listeners = new Map<string, Set<Listener>>();

/** Registers for one kind of event; returns how to unregister. */
export function onOffice(kind: string, listener: Listener): () => void {
  const of = listeners.get(kind) ?? new Set();
  listeners.set(kind, of.add(listener));
  return () => of.delete(listener);
}

/** Tells everybody who registered for this kind. */
export function tellOffice(event: OfficeEvent): void {
  for (const listener of listeners.get(event.kind) ?? []) listener(event);
}
