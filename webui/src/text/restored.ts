/** What the log-in page says after a restore: kept over the reload by which the page forgets the box before. */

const KEY = "tapdeck.restored";

export interface Restored {
  madeAt: string;
  absent: number;
}

/** Forgets all that this tab knew of the box before, but for this. */
export function keepRestored(restored: Restored): void {
  try {
    sessionStorage.clear();
    sessionStorage.setItem(KEY, JSON.stringify(restored));
  } catch {
    // Without a session storage nothing is said; the log-in page stands there all the same.
  }
}

export function readRestored(): Restored | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Partial<Restored> | null;
    return typeof kept?.madeAt === "string" ? { madeAt: kept.madeAt, absent: Number(kept.absent) || 0 } : null;
  } catch {
    return null;
  }
}

export function forgetRestored(): void {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Nothing was kept.
  }
}

/** The address of a folder as somebody typed it: a path is one, too. */
export function folderAddress(typed: string): string {
  const text = typed.trim();
  return text.startsWith("/") ? `file://${encodeURI(text)}` : text;
}
