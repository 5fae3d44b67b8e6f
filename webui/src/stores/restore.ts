/** The restore of another box's backup: asked for while it works, waited for while the box starts again. */

import { computed, onScopeDispose, ref } from "vue";
import { ApiError } from "@/api/http";
import { leaveRestore, type RestoreInfo, readRestore } from "@/api/restore";
import { keepRestored } from "@/text/restored";

const ASK_EVERY_MS = 1_000;

/** `begin`: asks the box to begin with what was chosen. `reload`: the page begins anew on the restored box. */
export function useRestore(reload: () => void = () => location.reload()) {
  const info = ref<RestoreInfo | null>(null);
  const problem = ref<unknown>(null);
  const progress = computed(() => info.value?.progress ?? null);
  /** The part that is done, 0 to 1; null while nobody knows. */
  const part = computed(() => {
    const now = progress.value;
    return now?.state === "preparing" && now.all ? Math.min(1, now.done / now.all) : null;
  });
  const running = computed(() => progress.value !== null && progress.value.state !== "failed");
  let timer: ReturnType<typeof setTimeout> | undefined;
  let left = false;

  /** Whoever was logged in before it restarted is not any more on the restored box. */
  function hasTakenOver(error: unknown): boolean {
    return progress.value?.state === "restarting" && error instanceof ApiError && error.status === 401;
  }

  async function load(): Promise<void> {
    clearTimeout(timer);
    try {
      info.value = await readRestore();
      problem.value = null;
    } catch (error) {
      if (hasTakenOver(error)) {
        keepRestored({ madeAt: progress.value?.made_at ?? "", absent: progress.value?.absent ?? 0 });
        left = true;
        return reload();
      }
      problem.value = error;
    }
    clearTimeout(timer);
    if (!left && running.value) timer = setTimeout(() => void load(), ASK_EVERY_MS);
  }

  /** What the box refuses is thrown. */
  async function begin(ask: () => Promise<RestoreInfo>): Promise<void> {
    info.value = await ask();
    await load();
  }

  const leave = () => begin(leaveRestore);

  onScopeDispose(() => {
    left = true;
    clearTimeout(timer);
  });
  return { info, problem, progress, part, running, load, begin, leave };
}
