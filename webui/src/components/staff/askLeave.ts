/** Before typed things are lost, or many things done: the question, with what will happen on the button. */

import { ElMessageBox } from "element-plus";

type Translate = (key: string, values?: Record<string, unknown>) => string;

/** True if the operator wants to leave `count` changes behind. */
export async function askLeave(t: Translate, count: number): Promise<boolean> {
  return ask(t, t("parameter.leaveAsk", { n: count }), t("parameter.leave", { n: count }));
}

/** Asks, naming on the button what will be done; true if it shall be. */
export async function ask(t: Translate, question: string, doing: string): Promise<boolean> {
  try {
    await ElMessageBox.confirm(question, doing, {
      type: "warning",
      confirmButtonText: doing,
      cancelButtonText: t("app.cancel"),
      confirmButtonClass: "el-button--danger",
    });
    return true;
  } catch {
    return false;
  }
}
