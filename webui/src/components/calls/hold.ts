/** Holding calls: asks for the reason once, whatever their number. */

import { ElMessageBox } from "element-plus";
import { holdCall } from "@/api/endpoints";
import { useCallHoldsStore } from "@/stores/callHolds";
import { toast } from "@/stores/toasts";
import { errorText } from "@/text/errors";

type Translate = (key: string, values?: Record<string, unknown>) => string;

/** True if all are held now. */
export async function askHold(t: Translate, callIds: string[]): Promise<boolean> {
  let reason: string;
  const doing = callIds.length === 1 ? t("holds.set") : t("calls.hold", { n: callIds.length });
  try {
    const asked = await ElMessageBox.prompt(t("holds.ask"), callIds.length === 1 ? t("holds.title") : doing, {
      confirmButtonText: doing,
      cancelButtonText: t("app.cancel"),
      inputPlaceholder: t("holds.reason"),
      inputPattern: /\S/,
      inputErrorMessage: t("errors.hold_reason"),
    });
    reason = asked.value;
  } catch {
    return false;
  }
  try {
    for (const id of callIds) await holdCall(id, reason);
    void useCallHoldsStore().holdNow(callIds);
    toast.success(callIds.length === 1 ? t("holds.done") : t("calls.heldMany", { n: callIds.length }));
    return true;
  } catch (error) {
    toast.error(errorText(error));
    return false;
  }
}
