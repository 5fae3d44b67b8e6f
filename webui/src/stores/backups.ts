/** Backups as they stand: read while somebody looks, more often while one is being made. */

import { computed, onScopeDispose, ref } from "vue";
import { type Backups, makeBackup, readBackups } from "@/api/backups";

const ASK_EVERY_MS = 1_500;
const LOOK_EVERY_MS = 30_000;

export function useBackups() {
  const backups = ref<Backups | null>(null);
  const problem = ref<unknown>(null);
  const running = computed(() => {
    const last = backups.value?.last_try;
    return last && (last.state === "waiting" || last.state === "running") ? last : null;
  });
  /** The part that is done, 0 to 1; null while nobody knows. */
  const part = computed(() => (running.value?.all ? Math.min(1, running.value.done / running.value.all) : null));
  let timer: ReturnType<typeof setTimeout> | undefined;
  let left = false;

  async function load(): Promise<void> {
    clearTimeout(timer);
    try {
      backups.value = await readBackups();
      problem.value = null;
    } catch (error) {
      problem.value = error;
    }
    clearTimeout(timer);
    if (!left) timer = setTimeout(() => void load(), running.value ? ASK_EVERY_MS : LOOK_EVERY_MS);
  }

  /** Asks for a backup, onto a stick or where that of every night goes; what the box refuses is thrown. */
  async function start(medium: string | null, recordings: boolean): Promise<void> {
    await makeBackup(medium, recordings);
    await load();
  }

  onScopeDispose(() => {
    left = true;
    clearTimeout(timer);
  });
  return { backups, problem, running, part, load, start };
}
