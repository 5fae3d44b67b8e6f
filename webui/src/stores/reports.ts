/** The figures of a span of days, and the monthly report. */

import { onScopeDispose, reactive, ref, shallowRef, watch } from "vue";
import { ApiError, boxNow_ms } from "@/api/http";
import { readCallBackFigures, readCallFigures, readHeatMap, readLineFigures, readMonthly } from "@/api/office";
import type {
  CallBackStatistics,
  CallStatistics,
  FiguresQuery,
  HeatMap,
  LineStatistics,
  MonthlyReport,
} from "@/api/officeTypes";
import { addDays, dayOf } from "@/text/days";

export const SPANS = ["today", "week", "month", "quarter"] as const;
export type SpanName = (typeof SPANS)[number];
const SPAN_DAYS: Record<SpanName, number> = { today: 1, week: 7, month: 30, quarter: 91 };
const AGAIN_MS = 3000;
const DAYS_BY_HOUR = 2;
const DAYS_BY_DAY = 93;

/** The days of a span that ends on `today`, both with. */
export function daysOfSpan(span: SpanName, today: string): [string, string] {
  return [addDays(today, 1 - SPAN_DAYS[span]), today];
}

/** Spans of time in which so many days are read well. */
export function stepFor(first: string, last: string): "hour" | "day" | "month" {
  const days = Math.round((Date.parse(last) - Date.parse(first)) / 86_400_000) + 1;
  if (days <= DAYS_BY_HOUR) return "hour";
  return days <= DAYS_BY_DAY ? "day" : "month";
}

/** Asks again by itself while the box prepares its figures. */
function useFigures<Answer>(read: () => Promise<Answer>, wanted: () => unknown) {
  const answer = shallowRef<Answer | null>(null);
  const problem = ref<unknown>(null);
  const loading = ref(true);
  const preparing = ref(false);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let turn = 0;

  async function load(): Promise<void> {
    clearTimeout(timer);
    turn += 1;
    const mine = turn;
    loading.value = true;
    try {
      const fresh = await read();
      if (mine !== turn) return;
      answer.value = fresh;
      problem.value = null;
      preparing.value = false;
    } catch (error) {
      if (mine !== turn) return;
      preparing.value = error instanceof ApiError && error.code === "statistics_preparing";
      problem.value = preparing.value ? null : error;
      if (preparing.value) timer = setTimeout(() => void load(), AGAIN_MS);
    } finally {
      if (mine === turn) loading.value = preparing.value;
    }
  }
  watch(wanted, load, { deep: true, immediate: true });
  onScopeDispose(() => {
    turn += 1;
    clearTimeout(timer);
  });
  return reactive({ answer, problem, loading, preparing, load });
}

export interface Dashboard {
  calls: CallStatistics;
  /** By the key that the table tells apart. */
  split: CallStatistics;
  heat: HeatMap;
  callBacks: CallBackStatistics;
  lines: LineStatistics;
}

export function useDashboard() {
  const [from, to] = daysOfSpan("month", dayOf(boxNow_ms()));
  const query = reactive<FiguresQuery>({ from, to });
  const split = ref<"channel" | "operator" | "group">("operator");
  const measure = ref<"calls" | "missed" | "talk_ms">("calls");
  const figures = useFigures<Dashboard>(
    async () => {
      const by = stepFor(query.from, query.to);
      const span = { from: query.from, to: query.to, group: query.group };
      const whole = { ...query, group: query.group };
      const [calls, apart, heat, callBacks, lines] = await Promise.all([
        readCallFigures({ ...whole, by }),
        readCallFigures({ ...whole, by: "month", split: split.value }),
        readHeatMap({ ...whole, measure: measure.value }),
        readCallBackFigures({ ...span, by }),
        readLineFigures(span),
      ]);
      return { calls, split: apart, heat, callBacks, lines };
    },
    () => [query, split.value, measure.value],
  );
  return { query, split, measure, figures };
}

export interface KeyFigures {
  key: string | null;
  name: string;
  calls: number;
  answered: number;
  missed: number;
  outgoing: number;
  talk_ms: number;
}

/** The rows of several months put together, one for each key, the busiest first. */
export function byKey(statistics: CallStatistics): KeyFigures[] {
  const found = new Map<string | null, KeyFigures>();
  for (const { key, name, figures } of statistics.rows) {
    const sum = found.get(key) ?? { key, name, calls: 0, answered: 0, missed: 0, outgoing: 0, talk_ms: 0 };
    sum.calls += figures.calls;
    sum.answered += figures.answered;
    sum.missed += figures.missed;
    sum.outgoing += figures.outgoing;
    sum.talk_ms += figures.talk_ms;
    found.set(key, sum);
  }
  return [...found.values()].sort((one, two) => two.calls - one.calls);
}

/** Bars of a span of time: what became of the calls. */
export function outcomeBars(statistics: CallStatistics): {
  categories: string[];
  answered: number[];
  missed: number[];
  abandoned: number[];
} {
  const { categories } = statistics.chart;
  const rows = new Map(statistics.rows.map((row) => [row.bucket, row.figures]));
  const of = (key: "answered" | "missed" | "abandoned") => categories.map((name) => rows.get(name)?.[key] ?? 0);
  return { categories, answered: of("answered"), missed: of("missed"), abandoned: of("abandoned") };
}

export function useMonthly() {
  const month = ref(dayOf(boxNow_ms()).slice(0, 7));
  const figures = useFigures<MonthlyReport>(
    () => readMonthly(month.value),
    () => month.value,
  );
  return { month, figures };
}
