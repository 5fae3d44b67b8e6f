/**
 * What Escape closes of all that stands beside the page without blocking it: where the cursor is, else what was opened
 * last. Who types elsewhere, or has a menu or a question open there, means that.
 */

import { onScopeDispose, watch } from "vue";

interface Closable {
  /** Where it is in the page. */
  root: () => Element | null | undefined;
  close: () => void;
}
type Pressed = Pick<KeyboardEvent, "key" | "defaultPrevented" | "isComposing" | "target">;

const ELSEWHERE = [
  "input:not([type=checkbox], [type=radio])",
  ...["textarea", "select", "[contenteditable]", "[role=combobox]", "[role=menu]", "[role=listbox]", "[role=dialog]"],
].join();

/** Which of those that are `open`, the last one opened last, is to close. */
export function closedBy<One extends Pick<Closable, "root">>(event: Pressed, open: readonly One[]): One | undefined {
  if (event.key !== "Escape" || event.defaultPrevented || event.isComposing) return undefined;
  const target = event.target as Element | null;
  const around = target && open.findLast((one) => one.root()?.contains(target));
  return around ?? (target?.closest?.(ELSEWHERE) ? undefined : open.at(-1));
}

const opened: Closable[] = [];
function onKey(event: KeyboardEvent): void {
  const found = closedBy(event, opened);
  if (!found) return;
  event.preventDefault();
  found.close();
}

/** `root`: an element in it that is there while it is open. */
export function useEscape(isOpen: () => boolean, root: Closable["root"], close: () => void): void {
  const one: Closable = { root: () => root()?.closest("[role=dialog]"), close };
  function leave(): void {
    const at = opened.indexOf(one);
    if (at >= 0) opened.splice(at, 1);
    if (!opened.length) document.removeEventListener("keydown", onKey);
  }
  watch(
    isOpen,
    (open) => {
      leave();
      if (!open) return;
      if (!opened.length) document.addEventListener("keydown", onKey);
      opened.push(one);
    },
    { immediate: true },
  );
  onScopeDispose(leave);
}
