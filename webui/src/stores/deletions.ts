/** Deleting recordings: one order each, carried out by the box one after the other. */

import { deleteRecording, readOrder } from "@/api/endpoints";
import { ApiError } from "@/api/http";
import type { Call, Order } from "@/api/types";

const LOOK_EVERY_MS = 300;
const LOOKS = 20;

/** What became of many orders; `why`: the error code of the first that was not done, null if nobody knows it. */
export interface Outcome {
  done: string[];
  waiting: number;
  refused: number;
  why: string | null;
}

/** The recordings of calls that can be deleted. */
export const deletable = (calls: Call[]): string[] =>
  calls.flatMap((call) => call.recordings.filter((one) => one.state === "ready").map((one) => one.id));

/** Orders the deletion of all, then looks what became of them; `tell` how many are settled. */
export async function deleteAll(ids: string[], reason: string, tell: (settled: number) => void): Promise<Outcome> {
  const found: Outcome = { done: [], waiting: 0, refused: 0, why: null };
  const orders = new Map<string, number>();
  for (const id of ids) {
    try {
      orders.set(id, await deleteRecording(id, reason));
    } catch (error) {
      found.refused += 1;
      found.why ??= error instanceof ApiError ? error.code : null;
    }
  }
  for (let look = 0; orders.size && look < LOOKS; look += 1) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    for (const [id, number] of orders) {
      const order: Order | null = await readOrder(number).catch(() => null);
      if (!order || order.state === "pending") continue;
      look = 0;
      orders.delete(id);
      if (order.state === "done") found.done.push(id);
      else {
        found.refused += 1;
        found.why ??= order.error_code;
      }
      tell(found.done.length + found.refused);
    }
  }
  found.waiting = orders.size;
  return found;
}
