/** Erasing a number: found, shown, exported, erased by the keeper, and its certificate. */

import { reactive, ref } from "vue";
import * as api from "@/api/box";
import type { FoundItems } from "@/api/boxTypes";
import { ApiError } from "@/api/http";
import { useSessionStore } from "./session";

const LOOK_EVERY_MS = 1500;

export interface Erased {
  order: number;
  /** Told once: with it anybody can show whom the certificate is about. */
  salt: string;
  state: "pending" | "done" | "refused";
  error_code: string | null;
  certificate: Record<string, unknown> | null;
}

export function useErasure() {
  const session = useSessionStore();
  const number = ref("");
  /** What was found, and about which number; another number needs another search. */
  const found = ref<(FoundItems & { number: string }) | null>(null);
  const erased = ref<Erased | null>(null);
  const busy = ref(false);
  const problem = ref<unknown>(null);

  async function attempt(action: () => Promise<void>): Promise<boolean> {
    busy.value = true;
    problem.value = null;
    try {
      await action();
      return true;
    } catch (error) {
      problem.value = error;
      return false;
    } finally {
      busy.value = false;
    }
  }

  const search = () =>
    attempt(async () => {
      const asked = number.value.trim();
      found.value = erased.value = null;
      found.value = { ...(await api.searchErasure(asked)), number: asked };
    });

  /** The ZIP file with everything. */
  async function exported(): Promise<Blob | null> {
    let file: Blob | null = null;
    await attempt(async () => {
      if (found.value) file = await api.exportNumber(found.value.number, session.session?.csrf ?? "");
    });
    return file;
  }

  /** Has it erased, if still as much would go as was shown, and waits for the keeper. */
  const erase = () =>
    attempt(async () => {
      if (!found.value) return;
      const { number: asked, going } = found.value;
      const { order, salt } = await api.eraseNumber(asked, going).catch(async (error: unknown) => {
        if (error instanceof ApiError && error.code === "changed") {
          found.value = { ...(await api.searchErasure(asked)), number: asked };
        }
        throw error;
      });
      erased.value = { order, salt, state: "pending", error_code: null, certificate: null };
      while (erased.value?.state === "pending") {
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
        const { state, error_code, certificate } = await api.readErasure(order);
        if (erased.value) Object.assign(erased.value, { state, error_code, certificate });
      }
      found.value = null;
    });

  return reactive({ number, found, erased, busy, problem, search, exported, erase });
}
