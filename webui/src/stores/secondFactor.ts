/** The own second factor: begun with the password, confirmed with the first code, renewed, switched off. */

import { reactive, ref } from "vue";
import * as api from "@/api/box";
import type { SecondFactor } from "@/api/boxTypes";
import { setCsrf } from "@/api/http";
import { useSessionStore } from "./session";

export type FactorDeed = "begin" | "renew" | "disable";

export function useSecondFactor() {
  const session = useSessionStore();
  const state = ref<SecondFactor | null>(null);
  /** What waits for the password. */
  const asking = ref<FactorDeed | null>(null);
  /** What the authenticator program needs, while the first code is waited for. */
  const secret = ref<{ secret: string; uri: string } | null>(null);
  const codes = ref<string[] | null>(null);
  const problem = ref<unknown>(null);
  const busy = ref(false);

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

  const load = () =>
    attempt(async () => {
      state.value = await api.readSecondFactor();
    });

  /** Does what waits for the password. */
  const withPassword = (password: string) =>
    attempt(async () => {
      if (asking.value === "begin") secret.value = await api.beginSecondFactor(password);
      else if (asking.value === "renew") codes.value = (await api.renewRecoveryCodes(password)).codes;
      else if (asking.value === "disable") {
        await api.disableSecondFactor(password);
        await session.resume();
      }
      asking.value = null;
      state.value = await api.readSecondFactor();
    });

  const confirm = (code: string) =>
    attempt(async () => {
      const answer = await api.confirmSecondFactor(code.replace(/\s/g, ""));
      setCsrf(answer.csrf);
      secret.value = null;
      codes.value = answer.codes;
      await session.resume();
      state.value = await api.readSecondFactor();
    });

  function ask(deed: FactorDeed | null): void {
    asking.value = deed;
    secret.value = null;
    problem.value = null;
  }

  return reactive({ state, asking, secret, codes, problem, busy, load, ask, withPassword, confirm });
}
