/** All that happened with a customer in one line of time: calls, communication records, tasks, changed fields. */

import { computed, ref, shallowRef, watch } from "vue";
import { type HistoryEntry, readHistory, readTimeline, type TimelineEntry } from "@/api/customers";
import { useCallsStore } from "./calls";

export type StoryEntry = (TimelineEntry & { key: string }) | (HistoryEntry & { kind: "change"; key: string });
export const STORY_KINDS = ["call", "communication", "task", "change"] as const;
export type StoryKind = (typeof STORY_KINDS)[number];

/** Pages of one source, newest first. `next` null: it has no more. */
export interface Pages<Entry> {
  entries: Entry[];
  next: string | null;
}

const PAGE = 50;

const keyOf = (entry: TimelineEntry) =>
  `${entry.kind}.${entry.kind === "call" ? entry.call.id : entry.kind === "task" ? entry.task.id : entry.communication.id}`;

/** Up to where a source is known: what is older may still come. */
const edge = (pages: Pages<{ at: string }>) => (pages.next === null ? "" : (pages.entries.at(-1)?.at ?? ""));

/** Both sources in one order, newest first, down to where both are known; and which of them has to be read on. */
export function woven(happened: Pages<TimelineEntry>, changed: Pages<HistoryEntry>) {
  const [until = ""] = [edge(happened), edge(changed)].sort().reverse();
  const entries: StoryEntry[] = [
    ...happened.entries.map((entry) => ({ ...entry, key: keyOf(entry) })),
    ...changed.entries.map((entry, index) => ({
      ...entry,
      kind: "change" as const,
      key: `change.${index}.${entry.at}`,
    })),
  ]
    .filter((entry) => entry.at >= until)
    .sort((one, two) => (one.at < two.at ? 1 : one.at > two.at ? -1 : 0));
  const reads = until === "" ? null : until === edge(happened) ? ("happened" as const) : ("changed" as const);
  return { entries, reads };
}

const nothing = <Entry>(): Pages<Entry> => ({ entries: [], next: null });

export function useCustomerStory(id: () => string | null) {
  const calls = useCallsStore();
  const happened = shallowRef(nothing<TimelineEntry>());
  const changed = shallowRef(nothing<HistoryEntry>());
  const loading = ref(false);
  const problem = ref<unknown>(null);
  let turn = 0;
  const story = computed(() => woven(happened.value, changed.value));

  async function readHappened(customer: string, before?: string): Promise<Pages<TimelineEntry>> {
    const page = await readTimeline(customer, PAGE, before);
    for (const entry of page.entries) if (entry.kind === "call") calls.put(entry.call);
    return page;
  }
  const added = <Entry>(old: Pages<Entry>, page: Pages<Entry>) => ({
    ...page,
    entries: [...old.entries, ...page.entries],
  });

  async function attempt(action: (customer: string, current: () => boolean) => Promise<void>): Promise<void> {
    const customer = id();
    turn += 1;
    const mine = turn;
    if (customer === null) return;
    loading.value = true;
    problem.value = null;
    try {
      await action(customer, () => mine === turn);
    } catch (error) {
      if (mine === turn) problem.value = error;
    } finally {
      if (mine === turn) loading.value = false;
    }
  }

  const reload = () =>
    attempt(async (customer, current) => {
      const [first, second] = await Promise.all([readHappened(customer), readHistory(customer, PAGE)]);
      if (!current()) return;
      happened.value = first;
      changed.value = second;
    });
  const loadMore = () =>
    attempt(async (customer, current) => {
      if (story.value.reads === "happened") {
        const page = await readHappened(customer, happened.value.next ?? undefined);
        if (current()) happened.value = added(happened.value, page);
      } else if (story.value.reads === "changed") {
        const page = await readHistory(customer, PAGE, changed.value.next ?? undefined);
        if (current()) changed.value = added(changed.value, page);
      }
    });

  watch(
    id,
    () => {
      happened.value = nothing();
      changed.value = nothing();
      void reload();
    },
    { immediate: true },
  );
  return { story, loading, problem, reload, loadMore };
}
