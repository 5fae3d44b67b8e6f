/** What the desk's lists have in common: something is tried, and something is given to somebody. */

import { ref, shallowRef } from "vue";
import { tell, toast } from "@/stores/toasts";
import { errorText } from "@/text/errors";

/** Whether it was done; if not, it is said why. */
export async function attempt(action: Promise<unknown>): Promise<boolean> {
  try {
    await action;
    return true;
  } catch (error) {
    toast.error(errorText(error));
    return false;
  }
}

/** Says what was done, and for a moment how to have it undone. */
export function tellDone(text: string, words: string, undo: () => unknown): void {
  tell(text, { deed: { words, run: undo, testId: "undo" } });
}

/** A row that is to be given to somebody, and whether it is being asked to whom. `change` may throw ApiError. */
export function useGiving<Row>(change: (row: Row, to: string) => Promise<unknown>) {
  const asking = ref(false);
  const given = shallowRef<Row | null>(null);
  function ask(row: Row): void {
    given.value = row;
    asking.value = true;
  }
  const give = async (to: string) => given.value && change(given.value, to);
  return { asking, given, ask, give };
}
