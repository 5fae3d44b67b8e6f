/** A list of calls, newest first: pages read from the API plus what arrives live and fits the filter. */

import { computed, onScopeDispose, ref, watch } from "vue";
import { readCalls } from "@/api/endpoints";
import { ApiError } from "@/api/http";
import type { Call, CallFilter } from "@/api/types";
import { useCallHoldsStore } from "./callHolds";
import { matchesFilter, useCallsStore } from "./calls";
import { useCallTagsStore } from "./callTags";
import { onReload, useLiveStore } from "./live";
import { onOffice } from "./officeNews";

/** So long what people do is gathered before a list is read once for all of it. */
const GATHER_MS = 500;
/** As many calls as the box tells at once. */
const MOST_AT_ONCE = 500;

export function useCallList(filter: () => CallFilter, page = 50) {
  const calls = useCallsStore();
  const tags = useCallTagsStore();
  const holds = useCallHoldsStore();
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
  let gathering: ReturnType<typeof setTimeout> | undefined;
  let over = false;

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
      holds.take(ids, answer.held);
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

  /** Reads what is shown once more, as far down as it is shown: nobody loses the place, nothing blinks. */
  async function refresh(): Promise<void> {
    if (loading.value) return refreshSoon();
    if (failed.value) return reload();
    turn += 1;
    const mine = turn;
    const last = fetched.value.at(-1) ?? "";
    const ids: string[] = [];
    let limit = Math.min(Math.max(page, fetched.value.length), MOST_AT_ONCE);
    let before: string | null = null;
    try {
      do {
        const answer = await readCalls(filter(), limit, before ?? undefined);
        if (mine !== turn) return refreshSoon(); // somebody went on reading meanwhile
        const some = answer.calls.map((call) => call.id);
        for (const call of answer.calls) calls.put(call);
        tags.take(some, answer.tags);
        holds.take(some, answer.held);
        ids.push(...some);
        before = answer.next;
        limit = page;
      } while (before !== null && (ids.length === 0 || (last && (ids.at(-1) as string) > last)));
    } catch {
      return; // what is shown stays; a box that is away tells by itself that it is back
    }
    fetched.value = ids;
    next.value = before;
  }

  function refreshSoon(): void {
    if (over) return;
    gathering ??= setTimeout(() => {
      gathering = undefined;
      void refresh();
    }, GATHER_MS);
  }
  onScopeDispose(() => {
    over = true;
    clearTimeout(gathering);
  });

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
      if (call_id === null || filter().tag) refreshSoon();
    }),
  );
  onScopeDispose(calls.keep(() => fetched.value));
  void reload();
  return { items, loading, failed, problem, outdated, more: computed(() => next.value !== null), reload, loadMore };
}
