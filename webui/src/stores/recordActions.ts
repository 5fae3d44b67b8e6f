/** What is done with several chosen records at once: recycle bin, restoring, purging. */

import { ElMessage } from "element-plus";
import { useI18n } from "vue-i18n";
import { moveRecords } from "@/api/office";
import type { RecordKind } from "@/api/officeTypes";
import { errorText } from "@/text/errors";
import { useChosenRows } from "./chosenRows";

/** The chosen rows of a list, and what can be done with them. */
export function useRecordActions<Row extends { id: string }>(
  kind: RecordKind,
  list: { rows: Row[]; outdated: boolean; drop: (ids: string[]) => void },
  ask: typeof import("@/components/staff/askLeave").ask,
) {
  const { t } = useI18n();
  const choice = useChosenRows<Row>(
    () => list.rows,
    () => list.outdated,
  );

  /** Does it after asking; what needs no question has none. True if it was done. */
  async function move(verb: "delete" | "restore" | "purge", which: string[]): Promise<boolean> {
    const doing = t(`records.${verb}`, { n: which.length });
    if (verb !== "restore" && !(await ask(t, t(`records.${verb}Ask`, { n: which.length }), doing))) return false;
    try {
      const { count, tasks_kept = 0 } = await moveRecords(kind, verb, which);
      list.drop(which);
      ElMessage.success(t(`records.${verb}Done`, { n: count }));
      if (tasks_kept) ElMessage.info(t("records.tasksKept", { n: tasks_kept }));
      return true;
    } catch (error) {
      ElMessage.error(errorText(error));
      return false;
    }
  }

  return { ...choice, move };
}
