/** What is done with several chosen records at once: recycle bin, restoring, purging. */

import { reactive } from "vue";
import { useI18n } from "vue-i18n";
import { moveRecords } from "@/api/office";
import type { RecordKind } from "@/api/officeTypes";
import { toast } from "@/stores/toasts";
import { errorText } from "@/text/errors";
import { MOST_RECORDS_AT_ONCE, useChooseAll } from "./chooseAll";
import { useChosenRows } from "./chosenRows";

/** The chosen rows of a list, and what can be done with them. */
export function useRecordActions<Row extends { id: string }>(
  kind: RecordKind,
  list: {
    rows: Row[];
    next: string | null;
    outdated: boolean;
    drop: (ids: string[]) => void;
    loadMore: () => Promise<void>;
  },
  ask: typeof import("@/components/staff/askLeave").ask,
  nameOf?: (row: Row) => string,
) {
  const { t } = useI18n();
  const choice = useChosenRows<Row>(
    () => list.rows,
    () => list.outdated,
  );

  /** Choosing everything that is found, as `ChosenBar` offers it. */
  const choosing = reactive(
    useChooseAll(
      {
        ids: () => list.rows.map((row) => row.id),
        more: () => list.next !== null,
        loadMore: () => list.loadMore(),
        outdated: () => list.outdated,
      },
      () => choice.ids.value.length,
      (all) => {
        choice.selected.value = all;
      },
      MOST_RECORDS_AT_ONCE,
    ),
  );

  /** The question and what its button says: a single record by its name, several by their number. */
  function questionOf(verb: "delete" | "purge", which: string[]): [string, string] {
    const row = which.length === 1 ? list.rows.find(({ id }) => id === which[0]) : undefined;
    const name = row && nameOf?.(row);
    return name
      ? [t(`records.${verb}OneAsk`, { name }), t(`records.${verb}One`, { name })]
      : [t(`records.${verb}Ask`, { n: which.length }), t(`records.${verb}`, { n: which.length })];
  }

  /** Does it after asking; what needs no question has none. True if it was done. */
  async function move(verb: "delete" | "restore" | "purge", which: string[]): Promise<boolean> {
    if (verb !== "restore" && !(await ask(t, ...questionOf(verb, which)))) return false;
    try {
      const { count, tasks_kept = 0 } = await moveRecords(kind, verb, which);
      list.drop(which);
      toast.success(t(`records.${verb}Done`, { n: count }));
      if (tasks_kept) toast.info(t("records.tasksKept", { n: tasks_kept }));
      return true;
    } catch (error) {
      toast.error(errorText(error));
      return false;
    }
  }

  return { ...choice, choosing, move };
}
