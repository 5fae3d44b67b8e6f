/** Calls as bars over time, one lane a channel. Pure: the tests look at it without a browser. */

import type { EChartsCoreOption } from "echarts/core";
import { type Palette, tooltip } from "./options";

/** From when it rang until it ended (or now); `answered_ms` null: nobody talked. Unix ms. */
export interface LaneCall {
  id: string;
  channel: number;
  label: string;
  from_ms: number;
  answered_ms: number | null;
  to_ms: number;
  missed: boolean;
}

/** What a bar stands for: lane, begin, end, which part of the call; and its call's id. */
export interface LaneBar {
  value: [number, number, number, "ring" | "talk" | "missed"];
  id: string;
  name: string;
}

interface Api {
  value(dimension: number): number;
  coord(point: [number, number]): [number, number];
  size(span: [number, number]): [number, number];
}

/** More lanes than these are scrolled. */
const MOST_LANES = 14;
const THICKEST_PX = 18;

/** The bars of calls, each on the lane of its channel: first it rings, then they talk. */
export function barsOf(calls: LaneCall[], channels: number[]): LaneBar[] {
  return calls.flatMap((call): LaneBar[] => {
    const lane = channels.indexOf(call.channel);
    const rang_to_ms = call.answered_ms ?? call.to_ms;
    const ring: LaneBar = {
      value: [lane, call.from_ms, rang_to_ms, call.missed ? "missed" : "ring"],
      id: call.id,
      name: call.answered_ms === null ? call.label : "",
    };
    if (call.answered_ms === null) return [ring];
    return [ring, { value: [lane, call.answered_ms, call.to_ms, "talk"], id: call.id, name: call.label }];
  });
}

export function laneOptions(
  calls: LaneCall[],
  lanes: { channel: number; name: string }[],
  span: { from_ms: number; to_ms: number },
  palette: Palette,
  label: string,
  clock: (at_ms: number) => string,
): EChartsCoreOption {
  const bars = barsOf(
    calls,
    lanes.map(({ channel }) => channel),
  );
  const colour = { ring: palette.series[1], talk: palette.strong, missed: palette.trouble };
  const scroll = lanes.length > MOST_LANES;
  return {
    aria: { enabled: true, label: { description: label } },
    animation: false,
    grid: { left: 8, right: scroll ? 28 : 12, top: 8, bottom: 8, containLabel: true },
    tooltip: {
      ...tooltip(palette),
      formatter: ({ data }: { data: LaneBar }) =>
        `${data.name} ${clock(data.value[1])} – ${clock(data.value[2])}`.trim(),
    },
    dataZoom: scroll
      ? [
          {
            type: "slider",
            yAxisIndex: 0,
            startValue: 0,
            endValue: MOST_LANES - 1,
            width: 12,
            right: 4,
            brushSelect: false,
          },
          { type: "inside", yAxisIndex: 0, zoomOnMouseWheel: false, moveOnMouseWheel: true },
        ]
      : [],
    xAxis: {
      type: "time",
      min: span.from_ms,
      max: span.to_ms,
      axisLine: { lineStyle: { color: palette.line } },
      axisLabel: { color: palette.soft, hideOverlap: true, formatter: (at_ms: number) => clock(at_ms) },
      splitLine: { show: true, lineStyle: { color: palette.line } },
    },
    yAxis: {
      type: "category",
      inverse: true,
      data: lanes.map(({ name }) => name),
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: { color: palette.soft, width: 120, overflow: "truncate" },
      splitLine: { show: true, lineStyle: { color: palette.line } },
    },
    series: [
      {
        type: "custom",
        encode: { x: [1, 2], y: 0 },
        data: bars,
        renderItem: ({ dataIndex }: { dataIndex: number }, api: Api) => {
          const bar = bars[dataIndex];
          if (!bar) return undefined;
          const [from_px, middle_px] = api.coord([Math.max(bar.value[1], span.from_ms), bar.value[0]]);
          const [to_px] = api.coord([Math.min(bar.value[2], span.to_ms), bar.value[0]]);
          const height_px = Math.min(THICKEST_PX, api.size([0, 1])[1] * 0.66);
          const width_px = Math.max(2, to_px - from_px);
          return {
            type: "rect",
            shape: { x: from_px, y: middle_px - height_px / 2, width: width_px, height: height_px, r: 2 },
            style: { fill: colour[bar.value[3]] },
          };
        },
      },
    ],
  };
}
