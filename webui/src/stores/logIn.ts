/** The steps of a log-in: staff number and password, then a code if the operator has a second factor. */

import { computed, reactive, ref, watch } from "vue";
import { ApiError } from "@/api/http";
import { useSessionStore } from "./session";

/** What is typed, what is asked for, and what went wrong. */
export function useLogIn() {
  const session = useSessionStore();
  const form = reactive({ staffNo: session.expired ? session.lastStaffNo : "", password: "", code: "" });
  const asksCode = ref(false);
  const busy = ref(false);
  const problem = ref<unknown>(null);
  const complete = computed(() => !!form.staffNo && !!form.password && (!asksCode.value || !!form.code.trim()));

  // Whether a code is needed was said of this person only.
  watch(
    () => form.staffNo,
    () => {
      asksCode.value = false;
      form.code = "";
    },
    { flush: "sync" },
  );

  /** Logs in, or finds out what else is needed; true if it is the code that has to be typed now. */
  async function submit(): Promise<boolean> {
    busy.value = true;
    problem.value = null;
    try {
      await session.logIn(form.staffNo.trim(), form.password, asksCode.value ? form.code.trim() : "");
      return false;
    } catch (error) {
      const code = error instanceof ApiError ? error.code : "";
      if (code === "second_factor_required") asksCode.value = true;
      else problem.value = error;
      return asksCode.value && (code === "second_factor_required" || code === "wrong_code");
    } finally {
      busy.value = false;
    }
  }

  return { form, asksCode, busy, problem, complete, submit };
}
