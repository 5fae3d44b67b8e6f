/** Missed calls that wait for a call back, kept current by the event stream. */

import { computed, type Ref, ref } from "vue";
import { changeCallBack, readCallBack, readCallBacks } from "@/api/desk";
import type { CallBack, CallBackChange, CallBackQuery } from "@/api/deskTypes";
import { useCallsStore } from "./calls";
import { followRows } from "./followed";
import { useRecordList } from "./recordList";

/** Which of them: those that wait, one's own among them, or those that are settled. */
export const CALL_BACK_PARTS = ["waiting", "mine", "done", "dismissed"] as const;
export type CallBackPart = (typeof CALL_BACK_PARTS)[number];

export interface CallBackRow extends CallBack {
  id: string;
}

/** The missed calls of one number that stand in the list, the newest first. */
export interface CallBackGroup {
  /** The newest call's. */
  id: string;
  rows: CallBackRow[];
  last: CallBackRow;
  /** Of whom the number is, and what is done with it: one that somebody has taken, else the newest. */
  lead: CallBackRow;
  /** How often the number called. */
  count: number;
  /** Whether the newest of them is in the list. */
  whole: boolean;
}

/** One for each number, where its first call stands; of those that are settled, each settling for itself. */
export function groupsOf(rows: readonly CallBackRow[], staffNo: string): CallBackGroup[] {
  const found = new Map<string, CallBackRow[]>();
  for (const row of rows) {
    const { caller_e164, caller_number } = row.call;
    const waits = row.state === "open" || row.state === "taken";
    const key = [caller_e164 ?? caller_number ?? row.id, waits ? "" : `${row.state} ${row.closed_at}`].join(" ");
    const among = found.get(key);
    if (among) among.push(row);
    else found.set(key, [row]);
  }
  return [...found.values()].map((among) => {
    const sorted = [...among].sort((one, other) => (one.call.started_at < other.call.started_at ? 1 : -1));
    const last = sorted[0] as CallBackRow;
    const taken = sorted.filter(({ state }) => state === "taken");
    const settled = last.state !== "open" && last.state !== "taken";
    return {
      id: last.id,
      rows: sorted,
      last,
      lead: taken.find(({ owner }) => owner === staffNo) ?? taken[0] ?? last,
      count: settled ? sorted.length : Math.max(sorted.length, ...sorted.map(({ missed_since }) => missed_since + 1)),
      whole: settled || last.missed_since === 0,
    };
  });
}

const PAGE = 50;

export function queryOf(part: CallBackPart, staffNo: string): CallBackQuery {
  if (part === "waiting") return { state: "waiting" };
  if (part === "mine") return { state: "taken", owner: staffNo };
  return { state: part, order: "newest" };
}

/** Whether a call-back stands in this part of the list. */
export function standsIn(part: CallBackPart, one: CallBack, staffNo: string): boolean {
  if (part === "waiting") return one.state === "open" || one.state === "taken";
  if (part === "mine") return one.state === "taken" && one.owner === staffNo;
  return one.state === part;
}

export const asRow = (one: CallBack): CallBackRow => ({ ...one, id: one.call.id });

export function useCallBacks(part: Ref<CallBackPart>, staffNo: () => string) {
  const calls = useCallsStore();
  const busy = ref<string | null>(null);
  const list = useRecordList<CallBackRow>(
    async (after) => {
      const page = await readCallBacks(queryOf(part.value, staffNo()), PAGE, after);
      for (const one of page.call_backs) calls.put(one.call);
      return { rows: page.call_backs.map(asRow), next: page.next };
    },
    () => part.value,
  );

  function take(one: CallBack): void {
    if (!standsIn(part.value, one, staffNo())) list.drop([one.call.id]);
    else if (list.rows.some((row) => row.id === one.call.id)) list.put(asRow(one));
    else void list.reload(); // its place among the others is the box's to say
  }

  const groups = computed(() => groupsOf(list.rows, staffNo()));

  /** Changes one, a state for all of its number that stand in the list. Throws ApiError. */
  async function change(id: string, wanted: CallBackChange): Promise<CallBack> {
    busy.value = id;
    const group = groups.value.find(({ rows }) => rows.some((row) => row.id === id));
    try {
      const fresh = await changeCallBack(id, wanted.state ? { ...wanted, of_number: true } : wanted);
      take(fresh);
      if (wanted.state && wanted.state !== "open")
        for (const row of group?.rows ?? [])
          if (row.id !== id) take({ ...row, state: fresh.state, owner: fresh.owner });
      return fresh;
    } finally {
      busy.value = null;
    }
  }

  // Also told when a call was missed, called back or settled by a talk with the number.
  followRows(
    list,
    ["call_back_changed"],
    ({ data, call_id }) => data.call_id ?? call_id,
    async (id) => {
      const one = await readCallBack(id);
      calls.put(one.call);
      take(one);
    },
  );
  return { list, groups, busy, change };
}
