/** Template phrases for notes: one's own, and those that others share. */

import { defineStore } from "pinia";
import { ref } from "vue";
import { addPhrase, changePhrase, readPhrases, removePhrase } from "@/api/desk";
import type { Phrase } from "@/api/deskTypes";

export const usePhrasesStore = defineStore("phrases", () => {
  const all = ref<Phrase[]>([]);
  const loaded = ref(false);

  /** Reads them anew; while the box does not answer, those that are known stay. */
  async function load(): Promise<void> {
    try {
      all.value = await readPhrases();
      loaded.value = true;
    } catch {
      // The connection state tells already that the box is away.
    }
  }

  async function add(text: string): Promise<void> {
    await addPhrase(text, false);
    await load();
  }

  async function share(id: number, shared: boolean): Promise<void> {
    await changePhrase(id, { shared });
    await load();
  }

  async function remove(id: number): Promise<void> {
    await removePhrase(id);
    await load();
  }

  return { all, loaded, load, add, share, remove };
});
