/** How the list of calls is looked at: its columns, and what it can be filtered by. */

import { computed, ref } from "vue";
import { readGroups, suggestCustomers } from "@/api/office";
import type { Group } from "@/api/officeTypes";
import { type CallFilter, DIRECTIONS, RESULTS } from "@/api/types";
import type { FilterSpec } from "@/components/table/filterSpec";
import { useBoardStore } from "./board";
import { useCallTagsStore } from "./callTags";
import type { ListColumn } from "./listView";
import { usePeopleOptions } from "./peopleOptions";
import { useSessionStore } from "./session";

export const CALL_COLUMNS: ListColumn[] = [
  { key: "kind", width_px: 116, first: true },
  { key: "number", width_px: 196, grow: 2, first: true, fixed: true },
  { key: "customer", width_px: 92, grow: 3, first: true },
  { key: "place", width_px: 110, grow: 1 },
  { key: "channel", width_px: 96, grow: 1, first: true },
  { key: "start", width_px: 108, first: true },
  { key: "talk", width_px: 64, align: "right", first: true },
  { key: "recording", width_px: 72, align: "right", first: true },
  { key: "handled", width_px: 110, first: true },
  { key: "ended", width_px: 108 },
  { key: "ring", width_px: 60, align: "right", first: true },
  { key: "tags", width_px: 140, grow: 1 },
];
export const CALL_FILTER_KEYS = [
  "number",
  "customer",
  "channel",
  "group",
  "direction",
  "result",
  "state",
  "machine",
  "handled_by",
  "call_back",
  "from",
  "to",
  "talk_from_ms",
  "talk_to_ms",
  "text",
  "noted",
  "tag",
  "held",
] as const satisfies readonly (keyof CallFilter)[];
export type CallLooks = Partial<Record<(typeof CALL_FILTER_KEYS)[number], string>>;

const SECONDS = [10, 30, 60, 180, 600, 1800];
const CALL_BACKS = ["waiting", "open", "taken", "done", "dismissed"] as const;
const upper = (word: string) => word.charAt(0).toUpperCase() + word.slice(1);

/** What a link asks for; a value that is no text is left out. */
export function asked(query: Record<string, unknown>): CallLooks {
  return Object.fromEntries(
    CALL_FILTER_KEYS.flatMap((key) => (typeof query[key] === "string" && query[key] ? [[key, query[key]]] : [])),
  );
}

/** The filters that this operator may use; those with names of their own ask the box for them. */
export function useCallFilters(
  t: (key: string, values?: Record<string, unknown>) => string,
  handledBy: () => string | undefined,
) {
  const people = usePeopleOptions(handledBy);
  const board = useBoardStore();
  const session = useSessionStore();
  const tags = useCallTagsStore();
  if (session.may("recording_query")) void tags.loadInUse();
  const groups = ref<Group[]>([]);
  const customers = ref<{ value: string; label: string }[]>([]);
  void readGroups().then(
    (found) => {
      groups.value = found;
    },
    () => undefined, // without their names groups cannot be chosen; everything else goes on
  );

  async function findCustomers(text: string): Promise<void> {
    if (!text.trim()) return;
    const found = await suggestCustomers(text.trim()).catch(() => []);
    customers.value = found.map(({ id, name, company }) => ({ value: id, label: name || company }));
  }
  /** A customer that a link names. */
  function knowCustomer(id: string, name: string): void {
    customers.value = [{ value: id, label: name }];
  }

  const length = (seconds: number) =>
    seconds < 60 ? t("calls.seconds", { n: seconds }) : t("calls.minutes", { n: seconds / 60 });
  const lengths = computed(() => SECONDS.map((n) => ({ value: String(n * 1000), label: length(n) })));
  const words = (keys: readonly string[], section: string) =>
    keys.map((value) => ({ value, label: t(`${section}.${value}`) }));

  const specs = computed<FilterSpec[]>(() => [
    { kind: "days", name: "start", from: "from", to: "to" },
    { kind: "choice", key: "direction", options: words(DIRECTIONS, "direction") },
    { kind: "choice", key: "result", options: words(RESULTS, "result") },
    {
      kind: "choice",
      key: "channel",
      options: board.sorted.map(({ number, name }) => ({
        value: String(number),
        label: name ? `${number} · ${name}` : t("lines.channel", { n: number }),
      })),
    },
    ...(groups.value.length > 1
      ? ([
          {
            kind: "choice",
            key: "group",
            options: groups.value.map(({ number, name }) => ({ value: String(number), label: name || String(number) })),
          },
        ] as FilterSpec[])
      : []),
    { kind: "choice", key: "handled_by", open: true, options: people.value },
    ...(session.may("customer_manage")
      ? ([{ kind: "choice", key: "customer", options: customers.value, search: findCustomers }] as FilterSpec[])
      : []),
    { kind: "choice", key: "talk_from_ms", options: lengths.value },
    { kind: "choice", key: "talk_to_ms", options: lengths.value },
    ...(session.may("communication_manage") ? ([{ kind: "text", key: "text" }] as FilterSpec[]) : []),
    ...(session.may("recording_query")
      ? ([
          { kind: "choice", key: "tag", options: tags.inUse.map((value) => ({ value, label: value })) },
          { kind: "choice", key: "noted", options: [{ value: "true", label: t("calls.notedYes") }] },
        ] as FilterSpec[])
      : []),
    ...(session.may("hold_manage")
      ? ([
          {
            kind: "choice",
            key: "held",
            options: [
              { value: "true", label: t("calls.heldYes") },
              { value: "false", label: t("calls.heldNo") },
            ],
          },
        ] as FilterSpec[])
      : []),
    {
      kind: "choice",
      key: "call_back",
      options: CALL_BACKS.map((value) => ({ value, label: t(`calls.callBack${upper(value)}`) })),
    },
    { kind: "choice", key: "machine", options: words(["fax", "modem"], "machine") },
    { kind: "choice", key: "state", options: words(["ringing", "dialling", "talking", "ended"], "state") },
  ]);

  return { specs, knowCustomer };
}
