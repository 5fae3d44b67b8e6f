/** A list of calls, newest first: pages read from the API plus what arrives live and fits the filter. */

import { computed, onScopeDispose, ref, watch } from "vue";
import { readCalls } from "@/api/endpoints";
import { ApiError } from "@/api/http";
import type { Call, CallFilter } from "@/api/types";
import { matchesFilter, useCallsStore } from "./calls";
import { useCallTagsStore } from "./callTags";
import { onReload, useLiveStore } from "./live";
import { onOffice } from "./officeNews";

export function useCallList(filter: () => CallFilter, page = 50) {
  const calls = useCallsStore();
  const tags = useCallTagsStore();
  const live = useLiveStore();
  const fetched = ref<string[]>([]);
  const next = ref<string | null>(null);
  const loading = ref(true);
  const failed = ref(false);
  const problem = ref<unknown>(null);
  /** The calls answer another question than the one being asked. */
  const outdated = ref(false);
  let turn = 0;
  let asked: string | undefined;

  const items = computed<Call[]>(() => {
    if (failed.value && !fetched.value.length) return []; // not a list with nothing before what arrived
    const ids = new Set(fetched.value);
    const oldest = next.value === null ? "" : (fetched.value.at(-1) ?? "");
    for (const id of calls.arrived) {
      if (id < oldest) continue; // it comes with its page
      const call = calls.known.get(id);
      if (call && matchesFilter(call, filter())) ids.add(id);
    }
    const found = [...ids].map((id) => calls.known.get(id)).filter((call) => call !== undefined);
    // Identifiers are time-ordered (UUIDv7), so the newest has the greatest.
    return found.sort((one, two) => (one.id < two.id ? 1 : -1));
  });

  async function load(before?: string): Promise<void> {
    turn += 1;
    const mine = turn;
    asked = before;
    loading.value = true;
    try {
      const answer = await readCalls(filter(), page, before);
      if (mine !== turn) return;
      for (const call of answer.calls) calls.put(call);
      const ids = answer.calls.map((call) => call.id);
      tags.take(ids, answer.tags);
      fetched.value = before ? [...fetched.value, ...ids] : ids;
      next.value = answer.next;
      failed.value = false;
      outdated.value = false;
      // A search for something rare answers with short pages that go on.
      if (!ids.length && answer.next) await load(answer.next);
    } catch (error) {
      if (mine !== turn) return;
      failed.value = true;
      problem.value = error;
      // What was found before is not what is wanted now; a box that is away changes nothing.
      const refused = error instanceof ApiError && error.status >= 400 && error.status < 500;
      if (before || !(refused || outdated.value)) return;
      fetched.value = [];
      next.value = null;
      outdated.value = false;
    } finally {
      if (mine === turn) loading.value = false;
    }
  }

  const reload = () => load();
  async function loadMore(): Promise<void> {
    if (next.value && !loading.value) await load(failed.value ? asked : next.value);
  }

  function askAnew(): void {
    outdated.value = true;
    void reload();
  }
  watch(filter, askAnew, { deep: true });
  watch(() => calls.dropped, reload);
  // What arrives tells that the box answers again: without the calls before it the list would be wrong.
  watch([() => live.state, () => calls.arrived[0]], () => {
    if (failed.value && !loading.value && live.state !== "reconnecting") void reload();
  });
  onScopeDispose(onReload(reload));
  onScopeDispose(
    onOffice("call_tags_changed", ({ call_id }) => {
      if (call_id === null || filter().tag) void reload();
    }),
  );
  onScopeDispose(calls.keep(() => fetched.value));
  void reload();
  return { items, loading, failed, problem, outdated, more: computed(() => next.value !== null), reload, loadMore };
}
