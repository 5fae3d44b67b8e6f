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
  /** Those from the end, newest first, until the pages meet. */
  const tail = ref<string[]>([]);
  const nextBack = ref<string | undefined>();
  const next = ref<string | null>(null);
  const loading = ref(true);
  const failed = ref(false);
  const problem = ref<unknown>(null);
  /** The calls answer another question than the one being asked. */
  const outdated = ref(false);
  let turn = 0;
  let asked: string | undefined;
  let readsBack = false;
  let gathering: ReturnType<typeof setTimeout> | undefined;
  let over = false;

  const items = computed<Call[]>(() => {
    if (failed.value && !fetched.value.length) return []; // not a list with nothing before what arrived
    const ids = new Set([...fetched.value, ...tail.value]);
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

  /** Before which call those stand that nobody has read yet. */
  const unreadAt = computed(() => {
    const newestOfTail = tail.value[0];
    const at = newestOfTail === undefined ? -1 : items.value.findIndex((call) => call.id <= newestOfTail);
    return at < 0 ? items.value.length : at;
  });

  /** A page of the list, or of its end; both have met where one reaches what the other has. */
  function append(ids: string[], more: string | null): void {
    const border = tail.value[0];
    fetched.value = [...new Set([...fetched.value, ...ids])];
    next.value = more;
    if (border !== undefined && (more === null || ids.some((id) => id <= border))) join();
  }
  function prepend(ids: string[], more: string | null): void {
    const border = fetched.value.at(-1);
    const beyond = ids.filter((id) => border === undefined || id < border);
    tail.value = [...beyond.reverse(), ...tail.value];
    nextBack.value = more ?? undefined;
    if (more === null || beyond.length < ids.length) join();
  }
  function join(): void {
    fetched.value = [...new Set([...fetched.value, ...tail.value])];
    tail.value = [];
    next.value = null;
  }

  async function load(before?: string, back = false): Promise<void> {
    turn += 1;
    const mine = turn;
    if (!back) asked = before;
    readsBack = back;
    loading.value = true;
    try {
      const answer = await readCalls(filter(), page, before, back || undefined);
      if (mine !== turn) return;
      for (const call of answer.calls) calls.put(call);
      const ids = answer.calls.map((call) => call.id);
      tags.take(ids, answer.tags);
      holds.take(ids, answer.held);
      if (!back && before === undefined) [fetched.value, tail.value, nextBack.value] = [[], [], undefined];
      if (back) prepend(ids, answer.next);
      else append(ids, answer.next);
      failed.value = false;
      outdated.value = false;
      // A search for something rare answers with short pages that go on.
      if (!ids.length && answer.next) await load(answer.next, back);
    } catch (error) {
      if (mine !== turn) return;
      failed.value = true;
      problem.value = error;
      // What was found before is not what is wanted now; a box that is away changes nothing.
      const refused = error instanceof ApiError && error.status >= 400 && error.status < 500;
      if (before || back || !(refused || outdated.value)) return;
      fetched.value = tail.value = [];
      next.value = null;
      outdated.value = false;
    } finally {
      if (mine === turn) loading.value = false;
    }
  }

  const reload = () => load();
  /** The next page; `back`: the one before those from the end, or the last one. */
  async function loadMore(back = false): Promise<void> {
    if (!next.value || outdated.value) return;
    if (back) {
      if (!loading.value || !readsBack) await load(nextBack.value, true);
    } else if (!loading.value) await load(failed.value ? asked : next.value);
  }

  /** Reads what is shown once more, as far down as it is shown: nobody loses the place, nothing blinks. */
  async function refresh(): Promise<void> {
    if (loading.value) return refreshSoon();
    if (failed.value) return reload();
    turn += 1;
    const mine = turn;
    const last = fetched.value.at(-1) ?? "";
    try {
      const head = await reread(fetched.value.length, mine, (ids) => !last || (ids.at(-1) as string) <= last);
      const border = tail.value[0] ?? "";
      const end =
        border && head ? await reread(tail.value.length, mine, (ids) => (ids.at(-1) as string) >= border, true) : null;
      if (!head || (border && !end)) return refreshSoon(); // somebody went on reading meanwhile
      [fetched.value, next.value, tail.value] = [head.ids, head.next, end?.ids.reverse() ?? []];
      if (end) nextBack.value = end.next ?? undefined;
      if (end && (end.next === null || head.next === null || (head.ids.at(-1) ?? "") <= (tail.value[0] ?? ""))) join();
    } catch {
      // What is shown stays; a box that is away tells by itself that it is back.
    }
  }

  /** Reads so many calls and on until it is `enough`; null when somebody else reads meanwhile. */
  async function reread(count: number, mine: number, enough: (ids: string[]) => boolean, back?: true) {
    const ids: string[] = [];
    let limit = Math.min(Math.max(page, count), MOST_AT_ONCE);
    let before: string | null = null;
    do {
      const answer = await readCalls(filter(), limit, before ?? undefined, back);
      if (mine !== turn) return null;
      const some = answer.calls.map((call) => call.id);
      for (const call of answer.calls) calls.put(call);
      tags.take(some, answer.tags);
      holds.take(some, answer.held);
      ids.push(...some);
      before = answer.next;
      limit = page;
    } while (before !== null && (ids.length === 0 || !enough(ids)));
    return { ids, next: before };
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
  onScopeDispose(
    onOffice("hold_changed", ({ call_id }) => {
      if (call_id === null || filter().held) refreshSoon();
    }),
  );
  onScopeDispose(calls.keep(() => [...fetched.value, ...tail.value]));
  void reload();
  const more = computed(() => next.value !== null);
  return { items, unreadAt, loading, failed, problem, outdated, more, reload, loadMore };
}
