/** Long jobs of the box: asked how far they are while somebody looks. */

import { onScopeDispose, ref } from "vue";
import { cancelJob, confirmJob, readJob } from "@/api/office";
import type { Job } from "@/api/officeTypes";

const ASK_EVERY_MS = 1000;

export const isJob = (answer: object): answer is Job => "done_rows" in answer && "state" in answer;
export const isOpen = (job: Job) => ["waiting", "running", "needs_answer"].includes(job.state);
/** The part that is done, 0 to 1; null while nobody knows. */
export const partDone = (job: Job) => (job.all_rows ? Math.min(1, job.done_rows / job.all_rows) : null);

/** Follows one job until it ends or asks something. */
export function useJob() {
  const job = ref<Job | null>(null);
  const problem = ref<unknown>(null);
  let timer: ReturnType<typeof setTimeout> | undefined;

  function follow(fresh: Job): void {
    clearTimeout(timer);
    job.value = fresh;
    if (fresh.state === "waiting" || fresh.state === "running")
      timer = setTimeout(() => void look(fresh.id), ASK_EVERY_MS);
  }

  async function look(id: number): Promise<void> {
    try {
      follow(await readJob(id));
      problem.value = null;
    } catch (error) {
      problem.value = error;
      timer = setTimeout(() => void look(id), ASK_EVERY_MS);
    }
  }

  async function attempt(action: Promise<Job>): Promise<void> {
    try {
      follow(await action);
      problem.value = null;
    } catch (error) {
      problem.value = error;
    }
  }

  const confirm = (mapping: (string | null)[] | null) =>
    job.value ? attempt(confirmJob(job.value.id, mapping)) : Promise.resolve();
  const cancel = () => (job.value ? attempt(cancelJob(job.value.id)) : Promise.resolve());

  function leave(): void {
    clearTimeout(timer);
    job.value = null;
    problem.value = null;
  }

  onScopeDispose(() => clearTimeout(timer));
  return { job, problem, follow, attempt, confirm, cancel, leave };
}
