/** What was just done, or was refused, said for a moment beside the work: the one place for such words. */

import { shallowReactive } from "vue";

export type ToastKind = "success" | "info" | "warning" | "error";

export interface ToastDeed {
  words: string;
  run: () => unknown;
  testId: string;
}

export interface Toast {
  id: number;
  kind: ToastKind;
  text: string;
  /** What it is about, above the text. */
  title: string;
  deed: ToastDeed | null;
  /** How long it stays when nobody looks at it; null: until it is put away. */
  lasts_ms: number | null;
}

const SAID_MS = 4000;
/** What went wrong, or can be undone, is read twice. */
const WEIGHED_MS = 10_000;
/** More are not read; the oldest go first, and those that wait for somebody last. */
const MOST = 5;

export const toasts = shallowReactive<Toast[]>([]);
let last = 0;

export function dismiss(id: number): void {
  const index = toasts.findIndex((one) => one.id === id);
  if (index >= 0) toasts.splice(index, 1);
}

/** Says it; the same words once more take the place of the earlier ones. Returns what `dismiss` takes. */
export function tell(text: string, wanted: Partial<Omit<Toast, "id" | "text">> = {}): number {
  const { kind = "info", title = "", deed = null } = wanted;
  const same = toasts.find(
    (one) => !one.deed && !deed && one.kind === kind && one.text === text && one.title === title,
  );
  if (same) dismiss(same.id);
  const usual_ms = deed || kind === "error" || kind === "warning" ? WEIGHED_MS : SAID_MS;
  last += 1;
  toasts.push({
    id: last,
    kind,
    text,
    title,
    deed,
    lasts_ms: wanted.lasts_ms === undefined ? usual_ms : wanted.lasts_ms,
  });
  const spare = toasts.find((one) => !one.deed) ?? toasts[0];
  if (toasts.length > MOST && spare) dismiss(spare.id);
  return last;
}

/** The newest one that offers something. */
export const newestDeed = (): Toast | undefined => toasts.findLast((one) => one.deed);

/** Does what the newest one offers; whether there was one. */
export function doNewest(): boolean {
  const newest = newestDeed();
  if (!newest?.deed) return false;
  dismiss(newest.id);
  newest.deed.run();
  return true;
}

export const toast = {
  success: (text: string) => tell(text, { kind: "success" }),
  info: (text: string) => tell(text, { kind: "info" }),
  warning: (text: string) => tell(text, { kind: "warning" }),
  error: (text: string) => tell(text, { kind: "error" }),
};
