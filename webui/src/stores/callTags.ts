/** Tags of calls: they come with pages of calls, or when somebody looks; shared by everything that shows them. */

import { defineStore } from "pinia";
import { onScopeDispose, reactive, ref } from "vue";
import { changeCallTags, readCallTags, readTagsInUse } from "@/api/endpoints";
import { onOffice } from "./officeNews";

/** As many calls as the box takes at once. */
const AT_ONCE = 200;
export const MOST_TAGS_A_CALL = 20;

export const useCallTagsStore = defineStore("callTags", () => {
  const known = reactive(new Map<string, string[]>());
  /** What calls in scope have, to choose from. */
  const inUse = ref<string[]>([]);
  const of = (callId: string): string[] => known.get(callId) ?? [];

  /** Takes over what the box told with a page of calls: those that are not in `tags` have none. */
  function take(callIds: string[], tags: Record<string, string[]>): void {
    for (const id of callIds) known.set(id, tags[id] ?? []);
  }

  /** Without an answer what is known stays. */
  async function load(callId: string): Promise<void> {
    const tags = await readCallTags(callId).catch(() => null);
    if (tags) known.set(callId, tags);
  }

  async function loadInUse(): Promise<void> {
    inUse.value = await readTagsInUse().catch(() => inUse.value);
  }

  /** Adds tags to calls and takes others away; of how many that changed any. Throws ApiError. */
  async function change(callIds: string[], add: string[], remove: string[]): Promise<number> {
    let changed = 0;
    for (let from = 0; from < callIds.length; from += AT_ONCE) {
      const some = callIds.slice(from, from + AT_ONCE);
      changed += await changeCallTags(some, add, remove);
      for (const id of some) {
        const kept = of(id).filter((tag) => !remove.includes(tag) && !add.includes(tag));
        if (known.has(id)) known.set(id, [...kept, ...add].sort());
      }
    }
    return changed;
  }

  /** Gives a call these tags instead of the old ones: only what differs, a colleague may be tagging it, too. Throws. */
  async function set(callId: string, old: string[], tags: string[]): Promise<void> {
    const wanted = [...new Set(tags.map((tag) => tag.trim().replaceAll(/\s+/g, " ")))].filter(Boolean);
    const add = wanted.filter((tag) => !old.includes(tag));
    const remove = old.filter((tag) => !wanted.includes(tag));
    if (add.length || remove.length) await change([callId], add, remove);
  }

  onScopeDispose(
    onOffice("call_tags_changed", ({ call_id }) => {
      if (call_id !== null && known.has(call_id)) void load(call_id);
    }),
  );

  function clear(): void {
    known.clear();
    inUse.value = [];
  }

  return { known, inUse, of, take, load, loadInUse, change, set, clear };
});
