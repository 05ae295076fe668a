/**
 * A fleet in which most instances are enemies: every answer of theirs may be fuzzed, beside one good instance. The gateway
 * is a process of its own; what it is told is bounded in time by short timeouts. (R20)
 */
import { FAULTS } from '../../src/domain/fault.ts';
import { TestClient } from '../../test/support/graphql-client.ts';
import { sleepGraph } from '../../test/support/graphs.ts';
import { type HostileInstance, startHostileInstance } from '../../test/support/hostile-instance.ts';
import { GatewayProbe, megabytes } from '../gateway-probe.ts';
import { aftermath, bareId, countOf, inLanes, startAll, submit, tally, untilIdle } from '../load.ts';
import { withGround } from '../processes.ts';
import { type Finding, randomFrom, type Scenario } from '../scenario.ts';

const JOBS = Number(process.env.CHAOS_JOBS ?? 10_000);
const ENEMIES = 8;
/** They open up at once again, or the round would be one of good answers. */
const SETTING = {
  MAX_JOBS_PER_INSTANCE: '8',
  PROBE_TIMEOUT_MS: '500',
  RECONCILE_INTERVAL_MS: '300',
  SILENCE_MS: '400',
  SUBMIT_GRACE_MS: '400',
  REFUSED_LOST_MS: '500',
  UNREACHABLE_LOST_MS: '800',
  STALLED_START_MS: '1000',
  BREAKER_THRESHOLD: '1000',
  BREAKER_OPEN_MS: '50',
  CANARY_TIMEOUT_MS: '2000',
  RETRY_BUDGET_PERCENT: '100',
  RETRY_BASE_MS: '5',
  RETRY_CAP_MS: '20',
  MAX_OUTPUT_BYTES: '8000000',
  JOB_MAX_CRASHES: '4',
  MAX_QUEUED_JOBS: '100000',
  LOG_LEVEL: 'error',
} as const;

export const hostile: Scenario = ({ seed, say }) =>
  withGround(async (ground) => {
    const good = await ground.simulator('good');
    await startAll([good]);
    const enemies = await Promise.all(
      Array.from({ length: ENEMIES }, (_, n) =>
        startHostileInstance({ random: randomFrom(seed * 100 + n), longestHangMs: 400 }),
      ),
    );
    try {
      const names = enemies.map(({ url }, n) => ({ name: `enemy${n}`, url }));
      const probe = await GatewayProbe.on(ground, 500);
      const gateway = await ground.gateway([good, ...names], { ...SETTING, ...probe.env });
      await startAll([gateway]);
      const client = new TestClient(gateway.url);
      await inLanes(50, 8, (salt) => submit(client, graph(salt)).then(() => undefined));
      const before = await probe.mark(gateway);
      const watching = watchErrors(client);
      const acknowledged: string[] = [];
      const pid = gateway.pid;
      await inLanes(JOBS, 16, async (n) => {
        acknowledged.push(bareId(await submit(client, graph(50 + n), { timeoutMs: 1500, maxAttempts: 2 })));
      });
      say(`${JOBS} jobs submitted to ${ENEMIES} enemies and a good instance`);
      const live: number[] = [];
      const lookAt = performance.now();
      const onWait = async (): Promise<void> => {
        if (performance.now() - lookAt > 5000 * (live.length + 1))
          live.push((await probe.mark(gateway)).heapUsed);
      };
      await untilIdle(client, { withinMs: 1_200_000, say, onWait });
      const after = await probe.mark(gateway);
      const most = Math.max(after.heapUsed, ...live);
      const peak = Math.max(...probe.looks().map(({ heapUsed }) => heapUsed));
      const rss = Math.max(...probe.looks().map((look) => look.rss));
      say(`peak between two collections: heap ${megabytes(peak)}, RSS ${megabytes(rss)}`);
      const crashed = gateway.pid === pid ? 0 : 1;
      const errors = await watching.end();
      await client.close();
      sayWhatWasDone(enemies, say);
      const { jobs, attempts, violations } = await aftermath(gateway, [], { acknowledged, maxCrashes: 4 });
      say(`jobs: ${tally(jobs.map((job) => `${job.status} ${job.error_code ?? ''}`.trim()))}`);
      say(`attempts: ${tally(attempts.map((one) => one.error_code ?? 'fine'))}`);
      const typed = jobs.filter(({ status, error_code: code }) =>
        status === 'FAILED' ? code !== null && code in FAULTS && code !== 'INTERNAL' : status === 'COMPLETED',
      );
      return [
        row('crashes of the gateway', '0', String(crashed), crashed === 0),
        row(
          `live heap, at most of ${live.length + 1} looks during the run`,
          'at most 200 MB more',
          `${megabytes(before.heapUsed)} to ${megabytes(most)}`,
          most - before.heapUsed <= 200e6,
        ),
        row(
          `jobs with a result or a typed fault, of ${acknowledged.length + 50}`,
          'all',
          String(typed.length),
          typed.length === acknowledged.length + 50,
        ),
        row('errors a subscriber of all jobs received', '0', String(errors), errors === 0),
        row('broken promises I1-I8', '0', countOf(violations), violations.length === 0),
      ];
    } finally {
      await Promise.all(enemies.map((enemy) => enemy.stop()));
    }
  });

function graph(salt: number) {
  return sleepGraph({ seconds: 0.01, steps: 2, salt });
}

function row(what: string, target: string, measured: string, met: boolean): Finding {
  return { row: 'R20', what, target, measured, met };
}

/** A client that sees every change of every job, previews and progress too. */
function watchErrors(client: TestClient): { end(): Promise<number> } {
  const results = client.watch(
    'subscription { jobs { id status progress { fraction step totalSteps remainingMs } outputs { id } error { code nodeId } } }',
  );
  let errors = 0;
  const read = (async () => {
    for await (const result of results) errors += result.errors?.length ?? 0;
  })();
  return {
    async end() {
      await results.return?.();
      await read;
      return errors;
    },
  };
}

function sayWhatWasDone(enemies: readonly HostileInstance[], say: (line: string) => void): void {
  const all = new Map<string, number>();
  for (const { done } of enemies) {
    for (const [kind, count] of done) all.set(kind, (all.get(kind) ?? 0) + count);
  }
  const posted = enemies.reduce((sum, enemy) => sum + enemy.posted.length, 0);
  say(`${posted} prompts at enemies; ${all.size} kinds of wickedness:`);
  say(
    [...all]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', '),
  );
}
