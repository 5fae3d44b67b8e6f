/** Missed calls that wait for a call back, kept current by the event stream. */

import { type Ref, ref } from "vue";
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

  /** Changes one; an earlier one of the same number may be settled with it. Throws ApiError. */
  async function change(id: string, wanted: CallBackChange): Promise<CallBack> {
    busy.value = id;
    try {
      const fresh = await changeCallBack(id, wanted);
      take(fresh);
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
  return { list, busy, change };
}
