/** A list that is read page by page, for as long as somebody shows it. */

import { onScopeDispose, type Ref, reactive, ref, shallowRef, watch } from "vue";
import { onReload } from "./live";

export interface Page<Row> {
  rows: Row[];
  next: string | null;
}

/** Reads the pages that `read` brings, and begins anew when what is `wanted` changes: `read` is told to stop then. */
export function useRecordList<Row extends { id: string | number }>(
  read: (after: string | undefined, unwanted: AbortSignal) => Promise<Page<Row>>,
  wanted: () => unknown,
) {
  const rows: Ref<Row[]> = shallowRef([]);
  const next = ref<string | null>(null);
  const loading = ref(true);
  /** The rows answer another question than the one being asked. */
  const outdated = ref(false);
  /** What went wrong: with the first page, where there are no rows, or else with the next one. */
  const problem = ref<unknown>(null);
  let turn = 0;
  let asking = new AbortController();

  async function load(after?: string): Promise<void> {
    turn += 1;
    const mine = turn;
    asking.abort();
    asking = new AbortController();
    loading.value = true;
    try {
      const page = await read(after, asking.signal);
      if (mine !== turn) return;
      rows.value = after === undefined ? page.rows : [...rows.value, ...page.rows];
      next.value = page.next;
      outdated.value = false;
      problem.value = null;
      // A search for something rare answers with short pages that go on.
      if (!page.rows.length && page.next !== null) await load(page.next);
    } catch (error) {
      if (mine !== turn) return;
      problem.value = error;
      if (after !== undefined) return;
      rows.value = [];
      next.value = null;
      outdated.value = false;
    } finally {
      if (mine === turn) loading.value = false;
    }
  }

  const reload = () => load();
  async function loadMore(): Promise<void> {
    if (next.value !== null && !loading.value) await load(next.value);
  }

  /** Shows a row as it is now, on top if it is new. */
  function put(row: Row): void {
    const known = rows.value.some((other) => other.id === row.id);
    rows.value = known ? rows.value.map((other) => (other.id === row.id ? row : other)) : [row, ...rows.value];
  }

  function drop(ids: Iterable<Row["id"]>): void {
    const gone = new Set(ids);
    rows.value = rows.value.filter((row) => !gone.has(row.id));
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
  return reactive({ rows, next, loading, outdated, problem, reload, loadMore, put, drop });
}
