/** Template phrases for notes: one's own, and those that others share. */

import { defineStore } from "pinia";
import { ref } from "vue";
import { addPhrase, changePhrase, readPhrases, removePhrase } from "@/api/desk";
import type { Phrase } from "@/api/deskTypes";

export const usePhrasesStore = defineStore("phrases", () => {
  const all = ref<Phrase[]>([]);
  const loaded = ref(false);
  const problem = ref<unknown>(null);

  /** Reads them anew; while the box does not answer, those that are known stay. */
  async function load(): Promise<void> {
    try {
      all.value = await readPhrases();
      loaded.value = true;
      problem.value = null;
    } catch (error) {
      problem.value = error;
    }
  }

  async function add(text: string, shared = false): Promise<void> {
    await addPhrase(text.trim(), shared);
    await load();
  }

  async function change(id: number, what: { text?: string; shared?: boolean }): Promise<void> {
    await changePhrase(id, what);
    await load();
  }

  async function remove(id: number): Promise<void> {
    await removePhrase(id);
    await load();
  }

  return { all, loaded, problem, load, add, change, remove };
});
