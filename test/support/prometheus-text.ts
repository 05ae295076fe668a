/**
 * Reads Prometheus' text format 0.0.4 as strictly as its description has it, and more: HELP and TYPE once before the samples,
 * a metric's lines together, no sample twice, counters called so and never negative, histograms whole and cumulative.
 */

import { grouped } from '../../src/store/grouped.ts';

export interface PrometheusSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface PrometheusMetric {
  readonly type: string;
  readonly help: string;
  readonly samples: PrometheusSample[];
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/;
const VALUE = /^(?:[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|[-+]Inf|NaN|Nan)$/;

export function parsePrometheus(text: string): Map<string, PrometheusMetric> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const metrics = new Map<string, PrometheusMetric>();
  const seen = new Set<string>();
  let help: [name: string, text: string] | undefined;
  let current: string | undefined;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind === 'HELP') {
      if (metrics.has(name)) throw new Error(`${name} comes twice`);
      help = [name, rest];
    } else if (kind === 'TYPE') {
      if (help?.[0] !== name) throw new Error(`no HELP before the TYPE of ${name}`);
      metrics.set(name, { type: rest, help: help[1], samples: [] });
      current = name;
    } else {
      const sample = sampleOf(line);
      const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
      if (seen.has(key)) throw new Error(`twice: ${line}`);
      seen.add(key);
      const metric = metrics.get(current ?? '');
      if (!metric || !belongs(sample.name, current ?? '', metric.type)) throw new Error(`astray: ${line}`);
      metric.samples.push(sample);
    }
  }
  for (const [name, metric] of metrics) check(name, metric);
  return metrics;
}

function sampleOf(line: string): PrometheusSample {
  const [, name = '', list = '', value = ''] = SAMPLE.exec(line) ?? [];
  if (name === '' || !VALUE.test(value)) throw new Error(`not a sample: ${line}`);
  const labels: Record<string, string> = {};
  for (let rest = list; rest !== ''; ) {
    const [whole, label = '', text = ''] = LABEL.exec(rest) ?? [];
    if (!whole || label in labels) throw new Error(`bad labels: ${line}`);
    labels[label] = text.replace(/\\(.)/g, (_all, escaped) => (escaped === 'n' ? '\n' : escaped));
    rest = rest.slice(whole.length);
  }
  return { name, labels, value: Number(value.replace('Inf', 'Infinity')) };
}

function belongs(sample: string, metric: string, type: string): boolean {
  if (type !== 'histogram') return sample === metric;
  return ['_bucket', '_sum', '_count'].some((part) => sample === `${metric}${part}`);
}

function check(name: string, { type, samples }: PrometheusMetric): void {
  if (type === 'counter') {
    if (!name.endsWith('_total')) throw new Error(`a counter is called ${name}`);
    if (samples.some(({ value }) => !(value >= 0))) throw new Error(`${name} is below zero`);
  } else if (type === 'histogram') checkHistogram(name, samples);
  else if (type !== 'gauge') throw new Error(`${name} is a ${type}`);
}

function checkHistogram(name: string, samples: readonly PrometheusSample[]): void {
  const groups = grouped(samples, ({ labels: { le: _le, ...others } }) => JSON.stringify(others));
  for (const [group, parts] of groups) {
    const buckets = parts.filter((part) => part.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => Number(labels.le?.replace('Inf', 'Infinity')));
    const counts = buckets.map(({ value }) => value);
    const ascends = (list: readonly number[], strictly: boolean): boolean =>
      list.every((n, at) => at === 0 || n > (list[at - 1] as number) || (!strictly && n === list[at - 1]));
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY) throw new Error(`${name} ${group} has no +Inf`);
    if (!ascends(bounds, true) || !ascends(counts, false))
      throw new Error(`${name} ${group} does not ascend`);
    const only = (suffix: string): number => {
      const [one, ...more] = parts.filter((part) => part.name === `${name}_${suffix}`);
      if (!one || more.length > 0) throw new Error(`${name} ${group} has not one _${suffix}`);
      return one.value;
    };
    if (only('count') !== counts.at(-1)) throw new Error(`${name} ${group} counts otherwise than +Inf`);
    only('sum');
  }
}

/** The value of the one sample with these labels; undefined where there is none. */
export function sampleValue(
  metrics: ReadonlyMap<string, PrometheusMetric>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const metric = metrics.get(name) ?? metrics.get(name.replace(/_(bucket|sum|count)$/, ''));
  const wanted = JSON.stringify(Object.entries(labels).sort());
  return metric?.samples.find(
    (sample) => sample.name === name && JSON.stringify(Object.entries(sample.labels).sort()) === wanted,
  )?.value;
}
