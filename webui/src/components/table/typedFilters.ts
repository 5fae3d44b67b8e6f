/** The text of filters while it is typed: shown at once, told when the typing pauses, each field by itself. */

import { onScopeDispose, ref, watch } from "vue";

export type FilterValues = Record<string, string | undefined>;

const TYPING_MS = 250;

/** `filter`: as it is now; `tell`: changes it. What is changed elsewhere (a saved view, a chip) wins over what is typed. */
export function useTypedFilters(filter: () => FilterValues, tell: (values: FilterValues) => void) {
  const drafts = ref<FilterValues>({});
  const timers = new Map<string, ReturnType<typeof setTimeout>>();
  /** What was told of a field last: this change is no news. */
  const told = new Map<string, string | undefined>();

  const textOf = (key: string) => drafts.value[key] ?? filter()[key] ?? "";

  function type(key: string, text: string): void {
    drafts.value[key] = text;
    clearTimeout(timers.get(key));
    const send = () => {
      timers.delete(key);
      const value = text.trim() || undefined;
      told.set(key, value);
      tell({ [key]: value });
    };
    timers.set(key, setTimeout(send, TYPING_MS));
  }

  function forget(key: string): void {
    clearTimeout(timers.get(key));
    timers.delete(key);
    told.delete(key);
    delete drafts.value[key];
  }
  const forgetAll = () => Object.keys(drafts.value).forEach(forget);

  watch(
    () => ({ ...filter() }),
    (fresh, old) => {
      for (const key of Object.keys(drafts.value)) {
        if ((fresh[key] || undefined) === (old[key] || undefined)) continue;
        if (told.has(key) && told.get(key) === (fresh[key] || undefined)) continue;
        forget(key);
      }
    },
  );
  onScopeDispose(forgetAll);
  return { textOf, type, forget, forgetAll };
}
