/** Who is logged in, and what they may do. */

import { defineStore } from "pinia";
import { computed, ref } from "vue";
import * as api from "@/api/endpoints";
import { ApiError, setCsrf } from "@/api/http";
import type { Operator, Session } from "@/api/types";
import { setOfficeZone } from "@/text/officeTime";

export const useSessionStore = defineStore("session", () => {
  const session = ref<Session | null>(null);
  /** False until the first answer of the box; then the log-in page or the desk can be shown. */
  const known = ref(false);
  /** The session ended without the operator asking for it. */
  const expired = ref(false);
  /** Whose session that was: most likely the one who logs in next. */
  const lastStaffNo = ref("");

  const operator = computed<Operator | null>(() => session.value?.operator ?? null);
  /** The box wants a second factor of this level, and there is none yet. */
  const factorDue = ref(false);
  const ready = computed(() => session.value !== null && !session.value.must_change_password && !factorDue.value);

  function take(fresh: Session | null): void {
    if (fresh?.operator.staff_no !== session.value?.operator.staff_no) factorDue.value = false;
    session.value = fresh;
    setCsrf(fresh?.csrf ?? "");
    if (fresh) setOfficeZone(fresh.time_zone);
    known.value = true;
    if (fresh) expired.value = false;
  }

  /** True if the operator holds this permission. */
  function may(permission: string): boolean {
    return operator.value?.permissions.includes(permission) ?? false;
  }

  /** Asks the box who we are. Errors other than "nobody" are thrown. */
  async function resume(): Promise<void> {
    try {
      take(await api.readSession());
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      take(null);
    }
  }

  async function logIn(staffNo: string, password: string, code = ""): Promise<void> {
    take(await api.logIn(staffNo, password, code));
  }

  async function changePassword(oldPassword: string, newPassword: string): Promise<void> {
    await api.changePassword(oldPassword, newPassword);
    await resume();
  }

  async function logOut(): Promise<void> {
    try {
      await api.logOut().catch(async (error: unknown) => {
        if (!(error instanceof ApiError) || error.code !== "csrf") throw error;
        await resume(); // another tab has logged in anew: it is that session which ends
        await api.logOut();
      });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
    }
    take(null);
  }

  /** The box says that nobody is logged in any more. */
  function lose(): void {
    if (session.value) {
      expired.value = true;
      lastStaffNo.value = session.value.operator.staff_no;
    }
    take(null);
  }

  return {
    session,
    factorDue,
    known,
    expired,
    lastStaffNo,
    operator,
    ready,
    may,
    take,
    resume,
    logIn,
    changePassword,
    logOut,
    lose,
  };
});
