/** What a chart shows, in the colours of the page. Pure: the tests look at it without a browser. */

import type { EChartsCoreOption } from "echarts/core";

export interface Palette {
  text: string;
  soft: string;
  line: string;
  surface: string;
  /** Of one hue, the strongest first; red is left to trouble. */
  series: string[];
  trouble: string;
  washed: string;
  strong: string;
}

export interface BarSeries {
  name: string;
  values: (number | null)[];
  /** Drawn in the colour of trouble. */
  trouble?: boolean;
}

const axes = (palette: Palette) => ({
  axisLine: { lineStyle: { color: palette.line } },
  axisTick: { show: false },
  axisLabel: { color: palette.soft, hideOverlap: true },
  splitLine: { lineStyle: { color: palette.line } },
});
/** Drawn, not written into the page: the Content-Security-Policy lets no styles in, and names no HTML. */
export const tooltip = (palette: Palette) => ({
  renderMode: "richText",
  backgroundColor: palette.surface,
  borderColor: palette.line,
  textStyle: { color: palette.text, fontSize: 13 },
  confine: true,
});

/** Stacked bars over categories. */
export function barOptions(
  categories: string[],
  series: BarSeries[],
  palette: Palette,
  label: string,
): EChartsCoreOption {
  let shade = 0;
  const colours = series.map((one) => {
    if (one.trouble) return palette.trouble;
    shade += 1;
    return palette.series[(shade - 1) % palette.series.length] ?? palette.strong;
  });
  return {
    aria: { enabled: true, label: { description: label } },
    color: colours,
    grid: { left: 8, right: 8, top: 36, bottom: 4, containLabel: true },
    legend: { top: 0, left: 0, icon: "roundRect", itemWidth: 12, itemHeight: 8, textStyle: { color: palette.soft } },
    tooltip: { trigger: "axis", axisPointer: { type: "shadow" }, ...tooltip(palette) },
    xAxis: { type: "category", data: categories, ...axes(palette) },
    yAxis: { type: "value", minInterval: 1, ...axes(palette) },
    series: series.map((one) => ({
      type: "bar",
      stack: "all",
      name: one.name,
      data: one.values,
      barMaxWidth: 28,
      animation: false,
    })),
  };
}

/** Weekday by hour; Monday stands on top. */
export function heatOptions(
  values: (number | null)[][],
  weekdays: string[],
  palette: Palette,
  label: string,
  say: (value: number) => string,
): EChartsCoreOption {
  const cells = values.flatMap((hours, day) =>
    hours.flatMap((value, hour) => (value === null ? [] : [[hour, day, value] as [number, number, number]])),
  );
  const most = Math.max(0, ...cells.map(([, , value]) => value));
  const hours = Array.from({ length: 24 }, (_, hour) => String(hour));
  return {
    aria: { enabled: true, label: { description: label } },
    grid: { left: 8, right: 8, top: 8, bottom: 40, containLabel: true },
    tooltip: {
      ...tooltip(palette),
      formatter: ({ value: [hour, day, value] }: { value: [number, number, number] }) =>
        `${weekdays[day]} ${hour}:00 – ${hour + 1}:00\n${say(value)}`,
    },
    visualMap: {
      min: 0,
      max: most || 1,
      calculable: false,
      orient: "horizontal",
      left: "center",
      bottom: 0,
      itemHeight: 120,
      itemWidth: 10,
      text: [say(most), say(0)],
      textStyle: { color: palette.soft },
      inRange: { color: [palette.washed, palette.strong] },
    },
    xAxis: { type: "category", data: hours, ...axes(palette), splitLine: { show: false } },
    yAxis: { type: "category", data: weekdays, inverse: true, ...axes(palette), splitLine: { show: false } },
    series: [
      {
        type: "heatmap",
        data: cells,
        animation: false,
        itemStyle: { borderColor: palette.surface, borderWidth: 2, borderRadius: 3 },
      },
    ],
  };
}
