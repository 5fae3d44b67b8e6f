/** Where toasts may stand: where no control ever is. Beside the page that is the gap in the column of places; on a
 * small screen there is no such place, and the page makes room for them above its bar. */

import { useCssVar, useElementBounding, useWindowSize } from "@vueuse/core";
import { onScopeDispose, type Ref, watchEffect } from "vue";

/** `gap`: the room between the places and the foot of the column; `bar`: the whole navigation. */
export function useToastRoom(bar: Ref<HTMLElement | null>, gap: Ref<HTMLElement | null>): void {
  const column = useElementBounding(gap);
  const nav = useElementBounding(bar);
  const { height: window_px } = useWindowSize();
  const top = useCssVar("--toast-top");
  const bottom = useCssVar("--toast-bottom");
  const width = useCssVar("--toast-width");
  function free(): void {
    top.value = bottom.value = width.value = undefined;
  }
  watchEffect(() => {
    if (column.height.value) {
      top.value = `${column.top.value}px`;
      bottom.value = `${window_px.value - column.bottom.value}px`;
      width.value = `${column.width.value}px`;
    } else if (nav.height.value) {
      free();
      bottom.value = `${window_px.value - nav.top.value}px`;
    } else free();
  });
  onScopeDispose(free);
}
