/** A list that is read page by page, for as long as somebody shows it. */

import { computed, onScopeDispose, type Ref, reactive, ref, shallowRef, watch } from "vue";
import { onReload } from "./live";

export interface Page<Row> {
  rows: Row[];
  next: string | null;
}
export type ReadPage<Row> = (after: string | undefined, unwanted: AbortSignal) => Promise<Page<Row>>;

/**
 * Reads the pages that `read` brings, and begins anew when what is `wanted` changes: `read` is told to stop then.
 * `readBack` reads the same list from its end, the last row first: so a long list has an end that can be looked at.
 */
export function useRecordList<Row extends { id: string | number }>(
  read: ReadPage<Row>,
  wanted: () => unknown,
  readBack?: ReadPage<Row>,
) {
  const head: Ref<Row[]> = shallowRef([]);
  /** Rows from the end, in the order of the list, until the pages meet. */
  const tail: Ref<Row[]> = shallowRef([]);
  const next = ref<string | null>(null);
  const nextBack = ref<string | undefined>();
  const rows = computed({
    get: () => (tail.value.length ? [...head.value, ...tail.value] : head.value),
    set: (fresh) => {
      [head.value, tail.value] = [fresh, []];
    },
  });
  const loading = ref(true);
  /** The rows answer another question than the one being asked. */
  const outdated = ref(false);
  /** What went wrong: with the first page, where there are no rows, or else with the next one. */
  const problem = ref<unknown>(null);
  let turn = 0;
  let asking = new AbortController();
  let readsBack = false;

  /** Asks for a page unless another is wanted meanwhile; `take` says where to go on if the page was empty. */
  async function ask(
    what: ReadPage<Row>,
    after: string | undefined,
    back: boolean,
    take: (page: Page<Row>) => void,
    failed?: () => void,
  ): Promise<void> {
    turn += 1;
    const mine = turn;
    asking.abort();
    asking = new AbortController();
    loading.value = true;
    readsBack = back;
    try {
      const page = await what(after, asking.signal);
      if (mine !== turn) return;
      take(page);
      problem.value = null;
      // A search for something rare answers with short pages that go on.
      if (!page.rows.length && page.next !== null) await ask(what, page.next, back, take, failed);
    } catch (error) {
      if (mine !== turn) return;
      problem.value = error;
      failed?.();
    } finally {
      if (mine === turn) loading.value = false;
    }
  }

  function begin(fresh: Row[], more: string | null): void {
    head.value = fresh;
    tail.value = [];
    next.value = more;
    nextBack.value = undefined;
    outdated.value = false;
  }
  let reloads = 0;
  async function reload(): Promise<void> {
    reloads += 1;
    try {
      await ask(
        read,
        undefined,
        false,
        (page) => begin(page.rows, page.next),
        () => begin([], null),
      );
    } finally {
      reloads -= 1;
    }
  }

  const without = (some: Row[], known: Row[]) => {
    const ids = new Set(known.map((row) => row.id));
    return some.filter((row) => !ids.has(row.id));
  };
  const holds = (some: Row[], border: Row | undefined) => some.some((row) => row.id === border?.id);

  /** Both ends have met where a page holds the row at the other's border; one that has moved means nothing. */
  function append(page: Page<Row>): void {
    const met = holds(page.rows, tail.value[0]);
    const fresh = without(page.rows, met ? rows.value : head.value);
    // Where the list ends without it, what was read from the end has moved since.
    if (!met) tail.value = page.next === null ? [] : without(tail.value, fresh);
    head.value = [...head.value, ...fresh];
    next.value = met ? null : page.next;
  }
  function prepend(page: Page<Row>): void {
    const met = page.next === null || holds(page.rows, head.value.at(-1));
    nextBack.value = page.next ?? undefined;
    tail.value = [...without(page.rows, rows.value).reverse(), ...tail.value];
    if (met) next.value = null;
  }

  /** The next page; `back`: the one before those from the end, or the last one. A reload is waited for. */
  async function loadMore(back = false): Promise<void> {
    if (next.value === null || reloads || outdated.value) return;
    if (back && readBack) {
      if (!loading.value || !readsBack) await ask(readBack, nextBack.value, true, prepend);
    } else if (!loading.value) await ask(read, next.value, false, append);
  }

  /** Shows a row as it is now, on top if it is new. */
  function put(row: Row): void {
    const known = rows.value.some((other) => other.id === row.id);
    const renewed = (some: Row[]) => some.map((other) => (other.id === row.id ? row : other));
    head.value = known ? renewed(head.value) : [row, ...head.value];
    tail.value = renewed(tail.value);
  }

  function drop(ids: Iterable<Row["id"]>): void {
    const gone = new Set(ids);
    const left = (some: Row[]) => some.filter((row) => !gone.has(row.id));
    head.value = left(head.value);
    tail.value = left(tail.value);
  }

  function askAnew(): void {
    outdated.value = true;
    void reload();
  }
  watch(wanted, askAnew, { deep: true });
  onScopeDispose(onReload(reload));
  onScopeDispose(() => {
    turn += 1;
    asking.abort();
  });
  void reload();
  /** Before which row those stand that nobody has read yet. */
  const unreadAt = computed(() => head.value.length);
  return reactive({ rows, next, unreadAt, loading, outdated, problem, reload, loadMore, put, drop });
}
