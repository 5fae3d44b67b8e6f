/** What the audit log tells of one parameter. */

import type { AuditEntry, ParameterValue } from "@/api/officeTypes";

export interface ParameterChange {
  id: number;
  at: string;
  by: string;
  before: ParameterValue;
  after: ParameterValue;
}

const partOf = (data: Record<string, unknown>, name: "before" | "after") =>
  (data[name] ?? {}) as Record<string, ParameterValue>;

/** The changes of `key` among the entries, in their order; what was set to the same value is none. */
export function parameterChanges(entries: AuditEntry[], key: string): ParameterChange[] {
  return entries.flatMap(({ id, at, actor, data }) => {
    const before = partOf(data, "before");
    const after = partOf(data, "after");
    if (!(key in after) || before[key] === after[key]) return [];
    return [{ id, at, by: actor, before: before[key] ?? null, after: after[key] ?? null }];
  });
}
