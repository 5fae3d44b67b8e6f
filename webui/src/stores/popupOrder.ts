/** Which card stands where, so that none moves under a hand. */

/** What counts for a card's place. `asked`: how late somebody opened it again, 0 for never. */
export interface Standing {
  callId: string;
  running: boolean;
  /** Taken or noted by the one who is logged in, or something is typed into it. */
  mine: boolean;
  asked: number;
}

/** Where a hand is: the card that has the cursor, and the one under the pointer ("": beside the cards). */
export interface Hands {
  held: string | null;
  pointed: string | null;
}

function part(card: Standing): number {
  if (card.running) return card.mine ? 0 : 1;
  if (card.asked) return 2;
  return card.mine ? 3 : 4;
}

/** Running calls first, one's own before others'; then what was opened again, one's own, the rest; newest first. */
export function compareCards(one: Standing, two: Standing): number {
  return part(one) - part(two) || two.asked - one.asked || (one.callId < two.callId ? 1 : -1);
}

/**
 * The order on the screen. While a hand is at the cards, those that are there keep their places. New ones come below
 * the card that is typed into; with the pointer at the stack, also below every running card.
 */
export function orderOf(cards: Standing[], last: string[], { held, pointed }: Hands): string[] {
  const sorted = [...cards].sort(compareCards).map((card) => card.callId);
  const there = new Set(sorted);
  const old = last.filter((id) => there.has(id));
  const typed = held !== null && old.includes(held);
  if (!old.length || (!typed && pointed === null)) return sorted;
  const running = new Set(cards.filter((card) => card.running).map((card) => card.callId));
  const below = [held ?? "", ...(pointed === null ? [] : [pointed, old.findLast((id) => running.has(id)) ?? ""])];
  const at = Math.max(...below.map((id) => old.indexOf(id))) + 1;
  return [...old.slice(0, at), ...sorted.filter((id) => !last.includes(id)), ...old.slice(at)];
}

/** A card counts as being in its place once it has been there for so long. */
export const SETTLES_MS = 300;

/** Remembers since when each card has been where it is. */
export class Places {
  private readonly noted = new Map<string, { top: number; since_ms: number }>();

  /** Notes where the cards are now; those that are not among them are forgotten. */
  note(tops: Map<string, number>, now_ms: number): void {
    for (const id of this.noted.keys()) if (!tops.has(id)) this.noted.delete(id);
    for (const [id, top] of tops) {
      if (this.noted.get(id)?.top !== top) this.noted.set(id, { top, since_ms: now_ms });
    }
  }

  /** Whether a card has been in its place long enough for a click to be meant for it. */
  settled(id: string, now_ms: number): boolean {
    const place = this.noted.get(id);
    return place !== undefined && now_ms - place.since_ms >= SETTLES_MS;
  }
}
