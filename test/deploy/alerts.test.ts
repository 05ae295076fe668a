import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSchema, parse as parseQuery, validate } from 'graphql';
import { describe, expect, it, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { promtool } from '../support/services/prometheus-server.ts';
import { ALERT_CASES, type AlertCase, HEALTHY_FLEET, leader, type Series } from './alert-cases.ts';
import { ALERTS_FILE, readAlertRules } from './alert-rules.ts';

const CONFIG = fileURLToPath(new URL('../../deploy/prometheus/prometheus.yml', import.meta.url));
const rules = readAlertRules();

/** A time of every fleet is looked at several times, so that a case which fires later or earlier is seen. */
const MOMENTS = ['5m', '12m', '20m', '31m', '45m', '59m'];

/** Where `for` has just passed or not yet is each alert's own business: these only say that it fires at `at`. */
function unitTests(): object[] {
  const labelled = ({ alert, labels }: AlertCase) => ({ job: labels.job ?? 'comfyfleet', ...labels, alert });
  const input = (series: Series) =>
    Object.entries({ ...HEALTHY_FLEET, ...series }).map(([name, values]) => ({ series: name, values }));
  const descriptionOf = (alert: string) =>
    rules.find((rule) => rule.alert === alert)?.annotations.description;
  const firing = ALERT_CASES.map((one) => {
    const { alert: _alert, ...exp_labels } = labelled(one);
    const exp_annotations = { summary: one.summary, description: descriptionOf(one.alert) };
    return {
      interval: '1m',
      input_series: input(one.fires),
      alert_rule_test: [
        { eval_time: '0m', alertname: one.alert, exp_alerts: [] },
        { eval_time: one.at, alertname: one.alert, exp_alerts: [{ exp_labels, exp_annotations }] },
      ],
    };
  });
  const quiet = (alerts: readonly string[], series: Series) => ({
    interval: '1m',
    input_series: input(series),
    alert_rule_test: alerts.flatMap((alertname) =>
      MOMENTS.map((eval_time) => ({ eval_time, alertname, exp_alerts: [] })),
    ),
  });
  const all = rules.map(({ alert }) => alert);
  return [
    ...firing,
    quiet(all, {}),
    ...ALERT_CASES.flatMap((one) => one.quiet.map((s) => quiet([one.alert], s))),
  ];
}

/** One that sees nothing at all: a Prometheus whose targets are wrong. */
const NOTHING = {
  interval: '1m',
  input_series: [],
  alert_rule_test: [
    {
      eval_time: '5m',
      alertname: 'ComfyfleetNoLeader',
      exp_alerts: [
        {
          exp_labels: { severity: 'critical' },
          exp_annotations: {
            summary: 'No scheduler of the fleet leads, so no job starts and no result is collected.',
            description: rules.find(({ alert }) => alert === 'ComfyfleetNoLeader')?.annotations.description,
          },
        },
      ],
    },
  ],
};

async function testRules(tests: readonly object[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'comfyfleet-alerts-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'tests.yml');
  writeFileSync(file, stringify({ rule_files: [ALERTS_FILE], evaluation_interval: '1m', tests }));
  return promtool('test', 'rules', file);
}

describe('the alert rules', () => {
  it('are what Prometheus understands, and so is its configuration', async () => {
    expect(await promtool('check', 'config', CONFIG)).toContain(`${rules.length} rules found`);
  });

  it.each(rules)('$alert says what to do, how bad it is, and waits before it calls', (rule) => {
    expect(rule.alert).toMatch(/^Comfyfleet[A-Z]\w+$/);
    expect(rule.labels.severity).toMatch(/^(critical|warning)$/);
    expect(rule.for).toMatch(/^\d+m$/);
    expect(rule.annotations.summary.length).toBeLessThan(120);
    expect(rule.annotations.description).toMatch(/[.?)]$/);
    expect(ALERT_CASES.map(({ alert }) => alert)).toContain(rule.alert);
  });

  it('fire when they must, say it in words, and are quiet otherwise', async () => {
    expect(await testRules([...unitTests(), NOTHING])).toContain('SUCCESS');
    const wrong = { ...NOTHING, input_series: [{ series: leader, values: '1x10' }] };
    await expect(testRules([wrong])).rejects.toThrow('FAILED');
  });

  it('give queries that the schema knows', async () => {
    const schema = buildSchema(await readFile('schema.graphql', 'utf8'));
    const queries = rules.flatMap(({ annotations }) => annotations.description.match(/\{ .* \}/g) ?? []);
    expect(queries.length).toBeGreaterThan(3);
    for (const query of queries) expect(validate(schema, parseQuery(query)), query).toEqual([]);
  });
});
