/** How a list is looked at: which columns in which order, sorted how, filtered by what; and views kept under a name. */

import { useLocalStorage } from "@vueuse/core";
import { computed, reactive, ref } from "vue";
import { addSavedView, changeSavedView, readSavedViews, removeSavedView } from "@/api/office";
import type { SavedView } from "@/api/officeTypes";

export interface ListColumn {
  key: string;
  /** Smallest width; columns with `grow` share what is left. */
  width_px: number;
  grow?: number;
  align?: "left" | "right";
  /** The API can put the list into the order of this column. */
  sorts?: string;
  /** Shown until somebody chooses otherwise. */
  first?: boolean;
  /** Stays in view while the others are scrolled sideways. */
  fixed?: boolean;
}

export interface Sorting {
  by: string;
  order: "asc" | "desc";
}

interface Looks<Filter> {
  columns: string[];
  sorting: Sorting | null;
  filter: Filter;
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";

/** What of a saved view's body is understood here: it may come from another version, or from another program. */
export function readLooks<Filter extends object>(
  body: Record<string, unknown>,
  columns: ListColumn[],
  filterKeys: readonly (keyof Filter & string)[],
): Looks<Filter> {
  const known = new Map(columns.map((column) => [column.key, column]));
  const given = Array.isArray(body.columns) ? body.columns : [];
  const chosen = [...new Set(given.filter((key) => known.has(key)))] as string[];
  const { by, order } = (body.sorting ?? {}) as { by?: unknown; order?: unknown };
  const sortable = columns.some((column) => column.sorts === by);
  const filter = (body.filter ?? {}) as Record<string, unknown>;
  return {
    columns: chosen.length ? chosen : firstColumns(columns),
    sorting: sortable && (order === "asc" || order === "desc") ? { by: by as string, order } : null,
    filter: Object.fromEntries(
      filterKeys.flatMap((key) => (isText(filter[key]) ? [[key, filter[key]]] : [])),
    ) as Filter,
  };
}

const firstColumns = (columns: ListColumn[]) => columns.filter((column) => column.first).map((column) => column.key);

/** The looks of a list. Columns and sorting stay with this browser; filters begin empty. */
export function useListView<Filter extends object>(
  list: string,
  columns: ListColumn[],
  filterKeys: readonly (keyof Filter & string)[],
) {
  const stored = useLocalStorage<Record<string, unknown>>(`tapdeck.list.${list}`, {});
  const begun = readLooks<Filter>(stored.value, columns, filterKeys);
  const looks: Looks<Filter> = reactive({
    columns: begun.columns,
    sorting: begun.sorting,
    filter: {} as Filter,
  }) as Looks<Filter>;
  const views = ref<SavedView[]>([]);
  const shownView = ref<SavedView | null>(null);

  function keep(): void {
    stored.value = { columns: looks.columns, sorting: looks.sorting };
  }

  const shownColumns = computed(() => looks.columns.flatMap((key) => columns.filter((column) => column.key === key)));
  const filtered = computed(() => Object.values(looks.filter).some(Boolean));

  function toggleColumn(key: string): void {
    if (!looks.columns.includes(key)) looks.columns.push(key);
    else if (looks.columns.length > 1) looks.columns.splice(looks.columns.indexOf(key), 1);
    keep();
  }

  /** Moves a shown column by `step` places. */
  function moveColumn(key: string, step: -1 | 1): void {
    const from = looks.columns.indexOf(key);
    const to = from + step;
    if (from < 0 || to < 0 || to >= looks.columns.length) return;
    looks.columns.splice(to, 0, ...looks.columns.splice(from, 1));
    keep();
  }

  /** Sorts by a column, the other way round when it is sorted by it already, and after that as before. */
  function sortBy(by: string): void {
    if (looks.sorting?.by !== by) looks.sorting = { by, order: "asc" };
    else if (looks.sorting.order === "asc") looks.sorting = { by, order: "desc" };
    else looks.sorting = null;
    keep();
  }

  function setFilter(change: Partial<Filter>): void {
    looks.filter = { ...looks.filter, ...change };
  }

  function clearFilter(): void {
    looks.filter = {} as Filter;
    shownView.value = null;
  }

  function resetColumns(): void {
    looks.columns = firstColumns(columns);
    keep();
  }

  async function loadViews(): Promise<void> {
    views.value = await readSavedViews(list);
  }

  function showView(view: SavedView): void {
    Object.assign(looks, readLooks<Filter>(view.body, columns, filterKeys));
    shownView.value = view;
    keep();
  }

  const body = () => JSON.parse(JSON.stringify(looks)) as Record<string, unknown>;

  /** Keeps the present looks under a name; one's own view of that name is written anew. Throws ApiError. */
  async function saveView(name: string, shared: boolean, staffNo: string): Promise<void> {
    const same = views.value.find((view) => view.name === name && view.owner === staffNo);
    if (same) await changeSavedView(same.id, { body: body() });
    else await addSavedView(list, name, body(), shared);
    await loadViews();
    shownView.value = views.value.find((view) => view.name === name && view.owner === staffNo) ?? null;
  }

  /** Throws ApiError. */
  async function dropView(view: SavedView): Promise<void> {
    await removeSavedView(view.id);
    if (shownView.value?.id === view.id) shownView.value = null;
    await loadViews();
  }

  return reactive({
    columns,
    looks,
    views,
    shownView,
    shownColumns,
    filtered,
    toggleColumn,
    moveColumn,
    sortBy,
    setFilter,
    clearFilter,
    resetColumns,
    loadViews,
    showView,
    saveView,
    dropView,
  });
}

export type ListView<Filter extends object> = ReturnType<typeof useListView<Filter>>;
/** What the parts need that know nothing of the filters. */
export interface AnyListView {
  columns: ListColumn[];
  looks: { columns: string[] };
  views: SavedView[];
  shownView: SavedView | null;
  toggleColumn(key: string): void;
  moveColumn(key: string, step: -1 | 1): void;
  resetColumns(): void;
  loadViews(): Promise<void>;
  showView(view: SavedView): void;
  saveView(name: string, shared: boolean, staffNo: string): Promise<void>;
  dropView(view: SavedView): Promise<void>;
}
