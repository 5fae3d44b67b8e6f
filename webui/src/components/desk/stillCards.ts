/** Cards that stay under the hand: their order waits for the pointer, and a click counts for a card in its place. */

import { useEventListener, useResizeObserver } from "@vueuse/core";
import { onUnmounted, type Ref, watch } from "vue";
import { Places, SETTLES_MS } from "@/stores/popupOrder";
import { usePopupsStore } from "@/stores/popups";

/** A pointer that rests is no hand, and a finger is gone once it has touched. */
const RESTS_AFTER_MS = { mouse: 10_000, touch: 3000 };

export const cardOf = (target: EventTarget | null) =>
  (target as Element | null)?.closest<HTMLElement>("[data-call-id]")?.dataset.callId ?? null;

/** `stack` is what the pointer comes to, `cards` the element that holds the cards alone. */
export function useStillCards(stack: Ref<HTMLElement | undefined>, cards: Ref<HTMLElement | undefined>): void {
  const popups = usePopupsStore();
  const places = new Places();
  let resting: ReturnType<typeof setTimeout> | undefined;
  let settling: ReturnType<typeof setTimeout> | undefined;
  /** Where the pointer went down; undefined once its click has come, or for clicks that no pointer makes. */
  let pressed: { callId: string | null; counts: boolean } | undefined;

  const all = () => [...(cards.value?.querySelectorAll<HTMLElement>(":scope > [data-call-id]") ?? [])];

  /** Marks the cards that have just moved: no click reaches them until they have stood still. */
  function mark(): void {
    const now_ms = performance.now();
    let moving = false;
    for (const card of all()) {
      const unsettled = !places.settled(card.dataset.callId ?? "", now_ms);
      card.toggleAttribute("data-settling", unsettled);
      moving ||= unsettled;
    }
    clearTimeout(settling);
    if (moving) settling = setTimeout(mark, SETTLES_MS / 4);
  }
  function measure(): void {
    places.note(new Map(all().map((card) => [card.dataset.callId ?? "", card.offsetTop])), performance.now());
    mark();
  }
  watch(() => popups.stack.map((card) => card.callId).join(), measure, { flush: "post", immediate: true });
  useResizeObserver(cards, measure);

  function leave(): void {
    clearTimeout(resting);
    popups.pointed = null;
  }
  function point(event: PointerEvent): void {
    popups.pointed = cardOf(event.target) ?? "";
    clearTimeout(resting);
    resting = setTimeout(leave, event.pointerType === "mouse" ? RESTS_AFTER_MS.mouse : RESTS_AFTER_MS.touch);
  }
  function press(event: PointerEvent): void {
    measure(); // what has moved since the last picture was drawn
    const callId = cardOf(event.target);
    const counts = callId === null || places.settled(callId, performance.now());
    pressed = { callId, counts };
    if (!counts) event.stopPropagation();
  }
  function click(event: MouseEvent): void {
    const was = pressed;
    pressed = undefined;
    if (!was || event.detail === 0 || (was.counts && was.callId === cardOf(event.target))) return;
    event.preventDefault();
    event.stopPropagation();
  }

  useEventListener(stack, ["pointerenter", "pointermove"], point);
  useEventListener(stack, "pointerleave", (event: PointerEvent) => event.pointerType === "mouse" && leave());
  useEventListener(stack, "pointerdown", point);
  useEventListener(stack, "pointerdown", press, { capture: true });
  useEventListener(stack, "click", click, { capture: true });
  onUnmounted(() => {
    leave();
    clearTimeout(settling);
  });
}
