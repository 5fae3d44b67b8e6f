/** What a line does over the last minute, beside the thresholds that are set for it. Pure. */

import type { EChartsCoreOption } from "echarts/core";
import { type Palette, tooltip } from "./options";

export interface Threshold {
  name: string;
  value: number;
}

export interface LineTrace {
  name: string;
  unit: string;
  /** Unix ms and value; null where the line told nothing. */
  points: [number, number | null][];
  /** The range that is always shown. */
  low: number;
  high: number;
  thresholds: Threshold[];
}

/** One curve over `span_ms` up to `now_ms`, its thresholds as lines with their names. */
export function traceOptions(
  trace: LineTrace,
  now_ms: number,
  span_ms: number,
  sayTime: (at_ms: number) => string,
  palette: Palette,
  label: string,
): EChartsCoreOption {
  const rule = { lineStyle: { color: palette.line } };
  return {
    animation: false,
    aria: { enabled: true, label: { description: label } },
    grid: { left: 8, right: 16, top: 12, bottom: 4, containLabel: true },
    tooltip: {
      ...tooltip(palette),
      trigger: "axis",
      formatter: (found: { value: [number, number | null] }[]) => {
        const [at_ms, value] = found[0]?.value ?? [now_ms, null];
        return `${sayTime(at_ms)}\n${value === null ? "–" : `${value} ${trace.unit}`}`;
      },
    },
    xAxis: {
      type: "time",
      min: now_ms - span_ms,
      max: now_ms,
      axisLine: rule,
      axisTick: { show: false },
      splitLine: { show: false },
      axisLabel: { color: palette.soft, hideOverlap: true, formatter: sayTime },
    },
    yAxis: {
      type: "value",
      min: ({ min }: { min: number }) => Math.min(trace.low, Math.floor(min)),
      max: ({ max }: { max: number }) => Math.max(trace.high, Math.ceil(max)),
      axisLabel: { color: palette.soft },
      splitLine: rule,
    },
    series: [
      {
        type: "line",
        name: trace.name,
        data: trace.points,
        showSymbol: false,
        connectNulls: false,
        step: trace.unit === "V" ? "end" : false,
        lineStyle: { color: palette.strong, width: 2 },
        itemStyle: { color: palette.strong },
        markLine: {
          silent: true,
          symbol: "none",
          lineStyle: { color: palette.trouble, type: "dashed", width: 1.5 },
          label: {
            color: palette.text,
            position: "insideStartTop",
            formatter: ({ name, value }: { name: string; value: number }) => `${name} ${value} ${trace.unit}`,
          },
          data: trace.thresholds.map(({ name, value }) => ({ name, yAxis: value })),
        },
      },
    ],
  };
}
