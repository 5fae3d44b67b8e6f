/** What an entry of the audit log tells, as rows of before and after. */

export interface AuditChange {
  key: string;
  before: string;
  after: string;
}

function say(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

const isTree = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Changes first, then what else the entry holds; equal values are left out. */
export function changesOf(data: Record<string, unknown>): AuditChange[] {
  const { before, after, ...rest } = data;
  const old = isTree(before) ? before : {};
  const fresh = isTree(after) ? after : {};
  const changed = [...new Set([...Object.keys(old), ...Object.keys(fresh)])]
    .map((key) => ({ key, before: say(old[key]), after: say(fresh[key]) }))
    .filter((change) => change.before !== change.after);
  return [...changed, ...Object.entries(rest).map(([key, value]) => ({ key, before: "", after: say(value) }))];
}
