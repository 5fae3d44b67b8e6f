/** The office's own fields of customers, as an administrator defined them. */

import { defineStore } from "pinia";
import { computed, ref } from "vue";
import { useI18n } from "vue-i18n";
import { type CustomField, readCustomFields } from "@/api/customers";
import type { CustomValue } from "@/api/types";

/** A field's name in a language, or in the other one where it has none. */
export const fieldName = (field: Pick<CustomField, "name_zh" | "name_en">, locale: string): string =>
  (locale === "en" ? field.name_en || field.name_zh : field.name_zh || field.name_en).trim();

/** Required fields that have no value. */
export const lackingFields = (fields: CustomField[], values: Record<string, CustomValue | null>): CustomField[] =>
  fields.filter((field) => {
    const value = values[field.id];
    return field.required && (value === undefined || value === null || value === "");
  });

export const useCustomFieldsStore = defineStore("customFields", () => {
  /** Removed ones too: old values still have a name. */
  const all = ref<CustomField[]>([]);
  const problem = ref<unknown>(null);
  const loaded = ref(false);
  const fields = computed(() => all.value.filter((field) => !field.removed));

  async function load(): Promise<void> {
    try {
      all.value = await readCustomFields();
      loaded.value = true;
      problem.value = null;
    } catch (error) {
      problem.value = error;
    }
  }

  /** Read once; later changes are somebody's who calls `load`. */
  async function need(): Promise<void> {
    if (!loaded.value) await load();
  }

  const named = (id: string) => all.value.find((field) => String(field.id) === id);

  return { all, fields, loaded, problem, load, need, named };
});

/** Values in words, each with the name of its field, in their order. */
export function useCustomWords() {
  const store = useCustomFieldsStore();
  const { t, locale } = useI18n();
  void store.need();

  const name = (field: CustomField) => fieldName(field, locale.value);
  function word(value: unknown): string {
    if (value === null || value === undefined) return "";
    return typeof value === "boolean" ? t(value ? "customField.yes" : "customField.no") : String(value);
  }
  const facts = (values: Record<string, CustomValue> | undefined) =>
    store.all.flatMap((field) => {
      const value = values?.[field.id];
      return value === undefined ? [] : [{ id: field.id, name: name(field), value: word(value) }];
    });

  return { store, name, word, facts };
}
