/**
 * Parts of the page that cannot be loaded: the box has been updated while the page stood open, or is away.
 *
 * The notice and its words in both languages stand in index.html, for nothing more may be loadable. The page is never
 * loaded again by itself: something may be typed in it.
 */

import type { Router } from "vue-router";

const part = (name: string) => globalThis.document?.getElementById(`page-changed${name}`);

function show(name: string, shown: boolean): void {
  const element = part(name);
  if (element) element.hidden = !shown;
}

export function showPageChanged(): void {
  show("-away", false);
  show("", true);
}

/** Loads the page anew if there is a box to load it from: a browser's own error page would be worse than this one. */
async function loadAgain(): Promise<void> {
  try {
    await fetch(location.pathname, { cache: "no-store" });
    location.reload();
  } catch {
    show("-away", true);
  }
}

/** From now on a part that fails to load is told. */
export function watchParts(router: Router): void {
  globalThis.addEventListener("vite:preloadError", showPageChanged);
  router.onError(showPageChanged);
  for (const button of document.querySelectorAll("[data-page-changed=load]"))
    button.addEventListener("click", loadAgain);
  part("-close")?.addEventListener("click", () => show("", false));
}
