/** Draws what a gateway tells of a time as one SVG: queue depth, how busy its instances were, p95 of waiting and of running. */
import { LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import { type EChartsCoreOption, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { GatewayClient } from '../src/cli/gateway-client.ts';

/** One line: its name, and milliseconds since 1970 with the value, null where nothing was. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [at: number, value: number | null])[];
}

export interface Figures {
  readonly depth: readonly Line[];
  readonly busy: readonly Line[];
  /** Seconds. */
  readonly waited: readonly Line[];
  readonly ran: readonly Line[];
}

const QUERY = `query Figures($from: TimeInput!, $to: TimeInput!) {
  depth: metricSeries(metrics: [QUEUE_DEPTH], stat: MAX, from: $from, to: $to) { ...Line }
  busy: metricSeries(metrics: [INSTANCE_BUSY], groupBy: [INSTANCE], from: $from, to: $to) { ...Line }
  waited: metricSeries(metrics: [JOB_QUEUE_TIME], stat: P95, from: $from, to: $to) { ...Line }
  ran: metricSeries(metrics: [JOB_DURATION], stat: P95, from: $from, to: $to) { ...Line }
}
fragment Line on MetricSeries { labels { name value } points { timeMs value } }`;

interface Series {
  readonly labels: readonly { readonly name: string; readonly value: string }[];
  readonly points: readonly { readonly timeMs: number; readonly value: number | null }[];
}

/** `from` and `to` are epoch ms or as in `now-10m`. @throws Error with what the gateway says against it. */
export async function readFigures(client: GatewayClient, from: string, to: string): Promise<Figures> {
  type Answer = Record<'depth' | 'busy' | 'waited' | 'ran', readonly Series[]>;
  const { depth, busy, waited, ran } = await client.execute<Answer>(QUERY, { from, to });
  const line = (series: Series, name: string, scale = 1): Line => ({
    name,
    points: series.points.map(({ timeMs, value }) => [timeMs, value === null ? null : value / scale]),
  });
  return {
    depth: depth.map((series) => line(series, 'jobs')),
    busy: busy.map((series) => line(series, series.labels[0]?.value ?? '')),
    waited: waited.map((series) => line(series, 'seconds', 1000)),
    ran: ran.map((series) => line(series, 'seconds', 1000)),
  };
}

const WIDTH = 900;
const PLOT = { height: 110, top: 44, every: 165 };
const INK = '#3d444d';
const PALE = '#e4e6e9';
const SLATE = '#5b6b7f';
const COLORS = ['#2f6fde', '#d9782d', '#2a9d6f', '#8b5cc7', '#b8456b', '#7d7a2a'];

/** Readable on pages of any colour: it brings its own. Time counts from the first point. */
export function drawFigures(figures: Figures): string {
  use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);
  const plots = plotsOf(figures);
  const height = PLOT.top + PLOT.every * plots.length;
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  try {
    chart.setOption(optionsOf(plots));
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

interface Plot {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly colors: readonly string[];
  /** Of the scale, where it is not what the lines need. */
  readonly scale?: { readonly max: number; readonly interval: number };
  readonly filled: boolean;
  readonly format: (value: number) => string;
}

function plotsOf({ depth, busy, waited, ran }: Figures): Plot[] {
  const seconds = (value: number): string => `${value} s`;
  const percent = (value: number): string => `${Math.round(value * 100)} %`;
  const alone = { colors: [SLATE], filled: true };
  return [
    { title: 'Jobs that wait', lines: depth, format: String, ...alone },
    {
      ...{ title: 'Utilisation', lines: busy, colors: COLORS, filled: false, format: percent },
      scale: { max: 1, interval: 0.25 },
    },
    { title: 'Time in the queue, p95', lines: waited, format: seconds, ...alone },
    { title: 'Time on the instance, p95', lines: ran, format: seconds, ...alone },
  ];
}

function optionsOf(plots: readonly Plot[]): EChartsCoreOption {
  const times = plots.flatMap(({ lines }) => lines.flatMap(({ points }) => points.map(([at]) => at)));
  const [begin, end] = [Math.min(...times), Math.max(...times)];
  const tops = plots.map((_, index) => PLOT.top + index * PLOT.every);
  return {
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { color: INK, fontFamily: 'system-ui, sans-serif' },
    title: plots.map(({ title }, index) => heading(title, tops[index] ?? 0)),
    legend: plots.map(({ lines }, index) => legend(lines, tops[index] ?? 0)),
    grid: tops.map((top) => ({ left: 64, right: 24, top, height: PLOT.height })),
    xAxis: plots.map((_, index) => minutes(index, (end - begin) / 60_000, index === plots.length - 1)),
    yAxis: plots.map((plot, index) => scaleOf(plot, index)),
    series: plots.flatMap((plot, index) =>
      plot.lines.map((line, nth) => curve(line, nth, plot, index, begin)),
    ),
  };
}

const heading = (text: string, top: number): object => ({
  text,
  left: 12,
  top: top - 34,
  textStyle: { color: INK, fontSize: 14, fontWeight: 600 },
});

/** One line needs none: the heading says what it is. */
const legend = (lines: readonly Line[], top: number): object => ({
  show: lines.length > 1,
  data: lines.map(({ name }) => name),
  top: top - 34,
  right: 36,
  itemWidth: 18,
  itemHeight: 3,
  itemGap: 24,
  icon: 'roundRect',
  textStyle: { color: INK, fontSize: 12 },
});

const minutes = (gridIndex: number, max: number, isLast: boolean): object => ({
  type: 'value',
  gridIndex,
  minInterval: 1,
  max,
  axisLine: { lineStyle: { color: PALE } },
  axisTick: { show: false },
  splitLine: { show: false },
  // the last one may be any fraction
  axisLabel: { show: isLast, showMaxLabel: max % 1 === 0, color: INK, formatter: '{value} min' },
});

const scaleOf = ({ scale, format }: Plot, gridIndex: number): object => ({
  type: 'value',
  gridIndex,
  splitNumber: 4,
  ...scale,
  splitLine: { lineStyle: { color: PALE } },
  axisLabel: { color: INK, formatter: format },
});

function curve(
  { name, points }: Line,
  nth: number,
  { colors, filled }: Plot,
  index: number,
  begin: number,
): object {
  return {
    type: 'line',
    name,
    xAxisIndex: index,
    yAxisIndex: index,
    showSymbol: false,
    color: colors[nth % colors.length],
    lineStyle: { width: 2 },
    ...(filled ? { areaStyle: { opacity: 0.15 } } : {}),
    data: points.map(([at, value]) => [(at - begin) / 60_000, value]),
  };
}
