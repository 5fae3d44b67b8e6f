/** One's own tasks and reminders, kept current by the event stream. */

import type { Ref } from "vue";
import { addTask, changeTask, deleteTask, readTask, readTasks, restoreTask } from "@/api/desk";
import type { Task, TaskDraft } from "@/api/deskTypes";
import { followRows } from "./followed";
import { useRecordList } from "./recordList";

export type TaskPart = "open" | "done";
/** One's own, or those of all whom one leads. */
export type TaskWhose = "mine" | "all";
const PAGE = 50;

/** Those that are due before the others; those without a due time last, in the order in which they were added. */
export function byDue(one: Task, two: Task): number {
  if (one.due_at !== two.due_at) {
    if (one.due_at === null) return 1;
    if (two.due_at === null) return -1;
    return one.due_at < two.due_at ? -1 : 1;
  }
  return Number(one.id) - Number(two.id);
}

export function useTasks(part: Ref<TaskPart>, whose: Ref<TaskWhose>, staffNo: () => string) {
  const list = useRecordList<Task>(
    async (after) => {
      const page = await readTasks(whose.value, part.value, PAGE, after);
      return { rows: page.tasks, next: page.next };
    },
    () => [part.value, whose.value],
  );

  function take(task: Task): void {
    const wanted = whose.value === "all" || task.owner === staffNo();
    const stands = wanted && !task.deleted_at && (task.done_at === null) === (part.value === "open");
    if (!stands) list.drop([task.id]);
    else {
      list.put(task);
      if (part.value === "open") list.rows = [...list.rows].sort(byDue);
    }
  }

  const add = async (draft: TaskDraft) => take(await addTask(draft));
  const change = async (id: string, what: Partial<TaskDraft> & { done?: boolean }) => take(await changeTask(id, what));
  async function remove(id: string): Promise<void> {
    await deleteTask(id);
    list.drop([id]);
  }
  const restore = async (id: string) => take(await restoreTask(id));

  followRows(
    list,
    ["task_changed", "task_due"],
    ({ data }) => data.id,
    async (id) => take(await readTask(id)),
  );
  return { list, add, change, remove, restore };
}
