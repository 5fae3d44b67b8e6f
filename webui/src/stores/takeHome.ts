/** What somebody takes home onto a stick: which calls, in which form, and what it would be. */

import { useSessionStorage, watchDebounced } from "@vueuse/core";
import { computed, reactive, ref, watch } from "vue";
import {
  estimateTakeHome,
  makeCase,
  type TakeHomeEstimate,
  takeHome,
  type WantedCase,
  type WantedTakeHome,
} from "@/api/takeHome";
import type { AudioFormat } from "@/api/types";
import { useBasketStore } from "./basket";
import { useSessionStore } from "./session";
import { useSticksStore } from "./sticks";

export const SHORTEST_PASSPHRASE = 12;
/** So many calls go into one case package. */
export const MOST_IN_A_CASE = 100;
const WEIGH_AFTER_MS = 300;

export type Which = "filtered" | "chosen" | "basket" | "tag";
/** What the drawer begins with; `calls`: these instead of the chosen ones of the list. */
export interface TakeHomeAsked {
  as: "calls" | "case";
  which: Which;
  calls?: string[];
}

/** The form while the drawer is open. `filter`: as the list is filtered; `chosen`: calls by their ids. */
export function useTakeHome(
  open: () => boolean,
  given: () => { filter: Record<string, unknown>; chosen: string[]; language: "zh" | "en" },
) {
  const basket = useBasketStore();
  const sticks = useSticksStore();
  const estimate = ref<TakeHomeEstimate | null>(null);
  const trouble = ref<unknown>(null);
  const form = reactive({
    as: "calls" as TakeHomeAsked["as"],
    medium: "",
    which: "filtered" as Which,
    tag: "",
    sinceLast: false,
    format: "original" as AudioFormat,
    evidence: true,
    customers: false,
    communications: false,
    passphrase: "",
  });
  /** What is typed for a case outlives the drawer, for its author alone; the passphrase does not. */
  const whose = useSessionStore().operator?.staff_no ?? "";
  const kept = useSessionStorage(`tapdeck.case.${whose}`, { title: "", reason: "" });
  const inBasket = computed(() => [...new Set(basket.items.map((item) => item.call_id))]);
  const calls = computed(() => (form.which === "basket" ? inBasket.value : given().chosen));
  const passphrase = computed(() => form.passphrase || null);

  const wanted = computed<WantedTakeHome>(() => ({
    medium: form.medium,
    calls: form.as === "calls" && form.which === "filtered" ? given().filter : {},
    chosen: form.as === "case" || ["chosen", "basket"].includes(form.which) ? calls.value : null,
    tag: form.as === "calls" && form.which === "tag" ? form.tag : null,
    since_last: form.as === "calls" && form.sinceLast,
    language: given().language,
    format: form.as === "case" ? "original" : form.format,
    evidence: form.as === "case" || form.evidence,
    customers: form.as === "calls" && form.customers,
    communications: form.as === "calls" && form.communications,
    passphrase: passphrase.value,
  }));
  const wantedCase = computed<WantedCase>(() => ({
    medium: form.medium,
    calls: calls.value,
    title: kept.value.title.trim(),
    reason: kept.value.reason.trim(),
    language: given().language,
    passphrase: passphrase.value,
  }));
  const short = computed(() => form.passphrase.length > 0 && form.passphrase.length < SHORTEST_PASSPHRASE);
  const tooMany = computed(() => form.as === "case" && calls.value.length > MOST_IN_A_CASE);
  const untold = computed(() => form.as === "case" && !(wantedCase.value.title && wantedCase.value.reason));
  const ready = computed(
    () =>
      form.medium !== "" &&
      !short.value &&
      !tooMany.value &&
      !untold.value &&
      Boolean(estimate.value?.calls) &&
      estimate.value?.fits !== false,
  );

  async function weigh(): Promise<void> {
    const asks = { ...wanted.value, passphrase: null };
    const empty = asks.chosen?.length === 0 || asks.tag === "";
    if (!open() || !form.medium || empty) {
      estimate.value = null;
      trouble.value = null;
      return;
    }
    const asked = JSON.stringify(asks);
    const isStale = () => asked !== JSON.stringify({ ...wanted.value, passphrase: null });
    try {
      const found = await estimateTakeHome(asks);
      if (isStale()) return;
      estimate.value = found;
      trouble.value = null;
    } catch (error) {
      if (isStale()) return;
      estimate.value = null;
      trouble.value = error;
    }
  }
  watchDebounced([wanted, open, () => sticks.usable], () => void weigh(), { debounce: WEIGH_AFTER_MS, deep: true });
  /** The stick that is chosen stays chosen while it is there. */
  watch(
    () => sticks.usable.map(({ id }) => id),
    (ids) => {
      if (!ids.includes(form.medium)) form.medium = ids[0] ?? "";
    },
    { immediate: true },
  );

  function begin(asked: TakeHomeAsked): void {
    form.as = asked.as;
    form.which = asked.which;
    form.passphrase = "";
  }
  /** Asks the box for it. */
  const send = () => (form.as === "case" ? makeCase(wantedCase.value) : takeHome(wanted.value));
  /** What was typed has become a job. */
  function sent(): void {
    if (form.as === "case") kept.value = { title: "", reason: "" };
    form.passphrase = "";
  }

  return { form, kept, inBasket, calls, estimate, trouble, short, tooMany, ready, begin, send, sent };
}
