/** What the desk's lists have in common: something is tried, and something is given to somebody. */

import { ElButton, ElMessage } from "element-plus";
import { h, ref, shallowRef } from "vue";
import { errorText } from "@/text/errors";

/** Whether it was done; if not, it is said why. */
export async function attempt(action: Promise<unknown>): Promise<boolean> {
  try {
    await action;
    return true;
  } catch (error) {
    ElMessage.error(errorText(error));
    return false;
  }
}

const UNDONE_WITHIN_MS = 8000;

/** Says what was done, and for a moment how to have it undone. */
export function tellDone(text: string, words: string, undo: () => unknown): void {
  const click = () => {
    message.close();
    undo();
  };
  const button = h(ElButton, { link: true, type: "primary", "data-testid": "undo", onClick: click }, () => words);
  const message = ElMessage({ type: "info", duration: UNDONE_WITHIN_MS, message: h("span", [`${text} `, button]) });
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
