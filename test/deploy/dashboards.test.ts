import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { FLEET_METRICS, PROCESS_METRICS } from '../../src/metrics/prometheus/names.ts';
import { eventually } from '../support/eventually.ts';
import { everything } from '../support/graphql-client.ts';
import { sleepGraph } from '../support/graphs.ts';
import { act, ended, submitGraph, submitted, UPLOAD } from '../support/jobs.ts';
import { sharedGateway } from '../support/running-gateway.ts';
import { PrometheusServer } from '../support/services/prometheus-server.ts';
import { ALERTS_FILE, readAlertRules } from './alert-rules.ts';
import { filledIn, type PanelQuery, queriesOf, readDashboard, selected, type Value } from './grafana.ts';

const fleet = readDashboard('fleet');
const graphql = readDashboard('fleet-graphql');
const shipped = parse(
  readFileSync(new URL('../../deploy/prometheus/prometheus.yml', import.meta.url), 'utf8'),
);
const exprOf = ({ target }: PanelQuery): string => target.expr ?? '';

describe.each([fleet, graphql])('the dashboard "$title"', ({ panels, templating }) => {
  it('has panels that Grafana can lay out: ids, letters and places are taken once', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos, targets = [] } of panels) {
      const { x, y, w, h } = gridPos;
      expect(x + w, title).toBeLessThanOrEqual(24);
      for (let row = y; row < y + h; row += 1) {
        for (let column = x; column < x + w; column += 1) {
          expect(taken, `${title} lies over another panel`).not.toContain(`${column}:${row}`);
          taken.add(`${column}:${row}`);
        }
      }
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
    }
    expect(templating.list.map(({ name }) => name)).toEqual(expect.arrayContaining(['workflow', 'instance']));
  });
});

it('dashboard and alerts use metrics that there are, and every metric of ours is shown', () => {
  const exprs = [...queriesOf(fleet).map(exprOf), ...readAlertRules().map(({ expr }) => expr)].join('\n');
  const used = new Set([...exprs.matchAll(/comfyfleet_(\w+)/g)].map(([, name = '']) => name));
  const all = { ...FLEET_METRICS, ...PROCESS_METRICS };
  const known = Object.entries(all).flatMap(([name, { type }]) =>
    type === 'histogram' ? [`${name}_bucket`, `${name}_count`] : [name],
  );
  expect([...used].filter((name) => !known.includes(name))).toEqual([]);
  const shown = (name: string) => [...used].some((one) => one === name || one.startsWith(`${name}_`));
  expect(Object.keys(all).filter((name) => !shown(name))).toEqual([]);
});

/** Nothing of that kind happened here. */
const MAY_BE_EMPTY = [/dropped_events_total/];

describe('on a live gateway', () => {
  // what fails is tried again at once: few jobs leave no budget for it
  const config = { maxAttempts: 2, retryBudgetPercent: 100 };
  const gateway = sharedGateway({ instances: [{}, {}, {}], config });
  let prometheus: PrometheusServer;
  let salt = 0;

  /** Jobs that complete, fail, and are canceled, with an upload, and an operation that is refused. */
  async function wave(): Promise<void> {
    const { client } = gateway();
    const short = () => submitGraph(client, sleepGraph({ seconds: 0.05, salt: ++salt }));
    const raising = {
      '1': {
        class_type: 'RigRaise',
        inputs: { kind: 'RuntimeError', message: 'as asked for', salt: ++salt },
      },
      '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'raised' } },
    };
    const long = await submitGraph(client, sleepGraph({ seconds: 60, steps: 600, salt: ++salt }));
    const jobs = await Promise.all([
      ...Array.from({ length: 6 }, short),
      submitted(client, 'generateImage', { prompt: `a lighthouse ${++salt}`, steps: 2 }),
      submitGraph(client, raising),
    ]);
    await act(client, 'cancelJob', long.id);
    const picture = new Uint8Array(readFileSync('assets/orange.png'));
    await client.upload(UPLOAD, { bytes: picture });
    await client.ask('{ metrics(from: "soon") { id } }');
    await Promise.all([...jobs, long].map(({ id }) => ended(client, id)));
  }

  async function figuresOf(count: number): Promise<void> {
    const { client } = gateway();
    type Figures = { metrics: { totalProcessed: number } };
    await eventually(
      async () =>
        (await client.run<Figures>('{ metrics { totalProcessed } }')).metrics.totalProcessed === count,
      { what: `figures of ${count} jobs` },
    );
  }

  beforeAll(async () => {
    const { url, client } = gateway();
    const [job] = shipped.scrape_configs;
    prometheus = await PrometheusServer.create({
      ...shipped,
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: [ALERTS_FILE],
      scrape_configs: [{ ...job, static_configs: [{ targets: [new URL(url).host] }] }],
    });
    await prometheus.start();
    // open all the time, so that there is one
    void everything(client.watch('subscription { queue { id } }')).catch(() => undefined);
    await wave();
    await figuresOf(8);
    // series must be there before they grow
    await eventually(async () => (await prometheus.query('comfyfleet_job_failures_total')).length > 0, {
      what: 'the failure is scraped',
    });
    await wave();
    await figuresOf(16);
  }, 90_000);

  afterAll(() => prometheus?.dispose());

  const promValues = (workflow: Value, instance: Value): Record<string, Value> => ({
    __rate_interval: '30s',
    __range: '1m',
    fleet: 'comfyfleet',
    workflow,
    instance,
  });

  it('Prometheus reaches it by the configuration that is shipped', async () => {
    expect(await prometheus.targets()).toEqual([expect.objectContaining({ health: 'up', lastError: '' })]);
  });

  it.each(queriesOf(fleet))('Prometheus answers $name', async (query) => {
    const expr = filledIn(exprOf(query), promValues('.*', '.*'));
    const samples = () => prometheus.query(expr);
    await samples();
    await prometheus.query(filledIn(exprOf(query), promValues(['raw', 'generateImage'], ['gpu1'])));
    if (MAY_BE_EMPTY.some((one) => one.test(expr))) return;
    await eventually(async () => (await samples()).some(({ value }) => Number.isFinite(value)), {
      what: `a number for ${expr}`,
    });
  });

  it('offers workflows, instances and the fleet to choose from', async () => {
    for (const { name, query, type } of fleet.templating.list) {
      if (type === 'datasource' || typeof query === 'string') continue;
      const [, series = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(query.query) ?? [];
      const samples = await prometheus.query(filledIn(series, promValues('.*', '.*')));
      expect(samples.length, name).toBeGreaterThan(0);
      for (const { labels } of samples) expect(labels[label]).toMatch(/./);
    }
  });

  it('evaluates every alert rule, and none fires on a fleet that is well', async () => {
    const rules = await eventually(async () => {
      const found = await prometheus.rules();
      return [...found.values()].every(({ health }) => health !== 'unknown') && found;
    });
    expect([...rules.keys()]).toEqual(readAlertRules().map(({ alert }) => alert));
    for (const [name, { health, lastError }] of rules)
      expect([name, health, lastError]).toEqual([name, 'ok', undefined]);
    // jobs waited a moment ago, and this machine may well be late
    const pending = 'ALERTS{alertname!="ComfyfleetEventLoopBusy"}';
    await eventually(async () => (await prometheus.query(pending)).length === 0, { what: 'no alert' });
  });

  /** As Infinity sends it: macros filled in, variables null. */
  async function post({ target }: PanelQuery, values: Readonly<Record<string, Value>>): Promise<unknown> {
    const { method = '', body_graphql_query: text = '' } = target.url_options ?? {};
    const now = Date.now();
    const query = filledIn(text, { __timeFrom: `${now - 3_600_000}`, __timeTo: `${now}`, ...values });
    const answer = await fetch(gateway().url + target.url, {
      method,
      headers: { 'content-type': 'application/json', 'user-agent': 'Grafana' },
      body: JSON.stringify({ query, variables: null }),
    });
    const body = await answer.json();
    expect([answer.status, body], query).toEqual([200, { data: expect.anything() }]);
    return body;
  }

  /** As Infinity reads it: each column of each row, in the type that the panel expects. */
  function rowsOf(body: unknown, { target }: PanelQuery): Record<string, unknown>[] {
    const root = selected(body, target.root_selector ?? '');
    expect(root, target.root_selector).toEqual(expect.anything());
    return [root].flat().map((row) =>
      Object.fromEntries(
        (target.columns ?? []).map(({ selector, text, type }) => {
          const value = selected(row, selector);
          expect(value, `${selector} is asked for`).not.toBe(undefined);
          if (value !== null)
            expect(typeof value).toBe(type === 'number' || type === 'timestamp_epoch' ? 'number' : 'string');
          return [text, value];
        }),
      ),
    );
  }

  const everythingChosen = { workflow: 'null', instance: 'null', __interval_ms: '10000' };

  it.each(queriesOf(graphql))('GraphQL answers $name', async (query) => {
    const rows = rowsOf(await post(query, everythingChosen), query);
    expect(rows.length).toBeGreaterThan(0);
    if (query.target.format !== 'timeseries') return;
    expect(rows.some((row) => Object.values(row).every((value) => value !== null))).toBe(true);
    const times = rows.map(({ time }) => Number(time));
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('GraphQL offers workflows and instances, and answers for the chosen ones', async () => {
    const chosen: Record<string, string[]> = {};
    for (const { name, query, allValue } of graphql.templating.list) {
      if (typeof query === 'string' || !query.infinityQuery) continue;
      expect(allValue).toBe('null');
      const asked = { name, target: query.infinityQuery };
      const rows = rowsOf(await post(asked, {}), asked);
      chosen[name] = rows.map(({ __value }) => String(__value));
      expect(chosen[name]?.length, name).toBeGreaterThan(1);
    }
    for (const query of queriesOf(graphql)) await post(query, { ...chosen, __interval_ms: '200' });
  });
});
