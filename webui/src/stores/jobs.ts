/** Long jobs of the box: asked how far they are while somebody looks. */

import { onScopeDispose, ref } from "vue";
import { cancelJob, confirmJob, readJob } from "@/api/office";
import type { ImportCounts, Job, KnownRows } from "@/api/officeTypes";

const ASK_EVERY_MS = 1000;

export const isJob = (answer: object): answer is Job => "done_rows" in answer && "state" in answer;
export const isOpen = (job: Job) => ["waiting", "running", "needs_answer"].includes(job.state);
/** The part that is done, 0 to 1; null while nobody knows. */
export const partDone = (job: Job) => (job.all_rows ? Math.min(1, job.done_rows / job.all_rows) : null);

/** How many rows an import will take, and how many stay out, by what is said of those that are there already. */
export function rowsTaken(counts: ImportCounts | null, known: KnownRows): { taken: number; out: number } {
  if (!counts) return { taken: 0, out: 0 };
  const skipped = known === "skip" ? counts.known : 0;
  return { taken: counts.new + counts.changed + counts.restored - skipped, out: counts.wrong + skipped };
}

/** Follows one job until it ends or asks something. */
export function useJob() {
  const job = ref<Job | null>(null);
  const problem = ref<unknown>(null);
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** Answers of an earlier turn come too late. */
  let turn = 0;

  function begin(): number {
    clearTimeout(timer);
    turn += 1;
    return turn;
  }

  function follow(fresh: Job): void {
    begin();
    job.value = fresh;
    lookLater();
  }

  function lookLater(): void {
    const id = job.value?.id;
    if (id === undefined || !["waiting", "running"].includes(job.value?.state ?? "")) return;
    timer = setTimeout(() => void attempt(readJob(id)), ASK_EVERY_MS);
  }

  /** Shows what becomes of it, unless something else is shown by then; whether it went well. */
  async function attempt(action: Promise<Job>): Promise<boolean> {
    const mine = begin();
    try {
      const fresh = await action;
      if (mine !== turn) return true;
      follow(fresh);
      problem.value = null;
      return true;
    } catch (error) {
      if (mine !== turn) return false;
      problem.value = error;
      lookLater();
      return false;
    }
  }

  const confirm = (mapping: (string | null)[] | null, known?: KnownRows) =>
    job.value ? attempt(confirmJob(job.value.id, mapping, known)) : Promise.resolve(false);
  const cancel = () => (job.value ? attempt(cancelJob(job.value.id)) : Promise.resolve(false));

  function leave(): void {
    begin();
    job.value = null;
    problem.value = null;
  }

  onScopeDispose(begin);
  return { job, problem, follow, attempt, confirm, cancel, leave };
}
