/** A form of parameters, of the box or of one channel: what is set, what was typed, what is wrong with it. */

import { computed, reactive, ref, shallowRef, watch } from "vue";
import { ApiError } from "@/api/http";
import { changeSettings, readParameters, readSettings } from "@/api/office";
import type { Parameter, ParameterValue, Setting } from "@/api/officeTypes";
import { problemOf, type ValueProblem } from "@/text/parameters";

/** Which of the `sent` keys the box refuses: the one it names, or the only one. */
export function keyOfRefusal(error: unknown, sent: string[]): string | null {
  if (!(error instanceof ApiError) || ![400, 409].includes(error.status)) return null;
  if (error.code === "locks_out_asker") return "allowed_addresses";
  if (error.key !== null && sent.includes(error.key)) return error.key;
  return sent.length === 1 ? (sent[0] ?? null) : null;
}

/** The form of a channel, or of the box while `channel` is null; undefined: nothing is chosen yet. */
export function useParameterForm(scope: "system" | "channel", channel: () => number | null | undefined) {
  const parameters = shallowRef<Parameter[]>([]);
  const settings = reactive(new Map<string, Setting>());
  const typed = reactive(new Map<string, ParameterValue>());
  const resets = reactive(new Set<string>());
  const refused = reactive(new Map<string, unknown>());
  const loading = ref(true);
  const saving = ref(false);
  const problem = ref<unknown>(null);
  let turn = 0;

  const changes = computed(() => typed.size + resets.size);
  const problems = computed(() => {
    const found = new Map<string, ValueProblem>();
    for (const parameter of parameters.value) {
      if (!typed.has(parameter.key)) continue;
      const wrong = problemOf(parameter, typed.get(parameter.key) ?? null);
      if (wrong) found.set(parameter.key, wrong);
    }
    return found;
  });

  function takeAll(rows: Setting[]): void {
    settings.clear();
    for (const row of rows) settings.set(row.key, row);
  }

  function discard(): void {
    typed.clear();
    resets.clear();
    refused.clear();
  }

  async function load(): Promise<void> {
    const number = channel();
    turn += 1;
    const mine = turn;
    discard();
    if (number === undefined) return;
    loading.value = true;
    try {
      const [table, rows] = await Promise.all([
        parameters.value.length ? parameters.value : readParameters(),
        readSettings(number),
      ]);
      if (mine !== turn) return;
      parameters.value = table.filter((row) => row.scope === scope);
      takeAll(rows);
      problem.value = null;
    } catch (error) {
      if (mine === turn) problem.value = error;
    } finally {
      if (mine === turn) loading.value = false;
    }
  }

  /** What the field shows: what was typed, else what is set. */
  function shownValue(parameter: Parameter): ParameterValue {
    if (typed.has(parameter.key)) return typed.get(parameter.key) ?? null;
    if (resets.has(parameter.key)) return parameter.default;
    return settings.get(parameter.key)?.value ?? null;
  }

  function type(parameter: Parameter, value: ParameterValue): void {
    const { key } = parameter;
    resets.delete(key);
    refused.delete(key);
    const same = settings.get(key)?.value === value;
    if (same || (parameter.secret && value === null)) typed.delete(key);
    else typed.set(key, value);
  }

  /** Back to the default. */
  function reset(parameter: Parameter): void {
    typed.delete(parameter.key);
    refused.delete(parameter.key);
    if (settings.get(parameter.key)?.is_default === false) resets.add(parameter.key);
  }

  /** Saves everything or nothing; true if it was done. What the box refuses stands beside its field. */
  async function save(): Promise<boolean> {
    const number = channel();
    if (number === undefined || problems.value.size) return false;
    saving.value = true;
    refused.clear();
    try {
      takeAll(await changeSettings(number, Object.fromEntries(typed), [...resets]));
      typed.clear();
      resets.clear();
      return true;
    } catch (error) {
      const key = keyOfRefusal(error, [...typed.keys(), ...resets]);
      if (key === null) throw error;
      refused.set(key, error);
      return false;
    } finally {
      saving.value = false;
    }
  }

  watch(channel, load, { immediate: true });
  return reactive({
    parameters,
    settings,
    typed,
    resets,
    refused,
    loading,
    saving,
    problem,
    changes,
    problems,
    load,
    discard,
    shownValue,
    type,
    reset,
    save,
  });
}

export type ParameterForm = ReturnType<typeof useParameterForm>;
