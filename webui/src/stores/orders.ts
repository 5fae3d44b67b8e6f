/** Orders about a call, and what became of them. */

import { type CallVerb, orderForCall, readOrder } from "@/api/endpoints";
import type { Order } from "@/api/types";

const LOOK_EVERY_MS = 300;
const LOOKS = 12;

/** Places an order and waits a few seconds for the recorder; an order that is still waiting then is not lost. */
export async function carryOut(callId: string, verb: CallVerb, reason = ""): Promise<Order> {
  const id = await orderForCall(callId, verb, reason);
  for (let look = 1; ; look += 1) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const order = await readOrder(id);
    if (order.state !== "pending" || look === LOOKS) return order;
  }
}
