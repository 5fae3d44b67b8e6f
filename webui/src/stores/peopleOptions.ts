/** Whom a list can be narrowed to: the people whom one sees at work; others by their staff number. */

import { computed } from "vue";
import { useAgentsStore } from "./agents";
import { usePeopleStore } from "./people";
import { useSessionStore } from "./session";

/** `chosen`: who is chosen already, perhaps nobody of these. */
export function usePeopleOptions(chosen: () => string | undefined) {
  const agents = useAgentsStore();
  const people = usePeopleStore();
  const session = useSessionStore();
  if (!agents.loaded) void agents.load();
  return computed(() => {
    const seen = [...agents.agents, ...agents.colleagues].map((one) => [one.staff_no, one.name] as const);
    const names = new Map([...seen, [session.operator?.staff_no ?? "", session.operator?.name ?? ""] as const]);
    const value = chosen();
    if (value && !names.has(value)) names.set(value, "");
    return [...names]
      .filter(([staffNo]) => staffNo)
      .map(([staffNo, name]) => ({ value: staffNo, label: people.who(staffNo, name) }));
  });
}
