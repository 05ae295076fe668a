/** When each alert must fire, and what looks nearly the same: series beside those of a healthy fleet. */

/** Series as promtool writes them, one value a minute: `0x30` stays, `0+2x30` grows by 2. */
export type Series = Readonly<Record<string, string>>;

export interface AlertCase {
  readonly alert: string;
  /** What is seen beside a healthy fleet, or instead. */
  readonly fires: Series;
  /** After this long. */
  readonly at: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly summary: string;
  /** Nearly the same, and no reason to call anybody. */
  readonly quiet: readonly Series[];
}

const of = (name: string, labels = '') => `comfyfleet_${name}{job="comfyfleet",instance="s1:4000"${labels}}`;
export const leader = of('leader');
const other = 'comfyfleet_leader{job="comfyfleet",instance="s2:4000"}';
const healthy = of('instances', ',health="HEALTHY"');
const degraded = of('instances', ',health="DEGRADED"');
const stale = of('fleet_figures_stale');
const waiting = of('queue_depth');
const oldest = of('queue_oldest_seconds');
const attempts = of('attempts_total', ',instance_name="gpu1",outcome="SUCCEEDED"');
const failedAttempts = of('attempts_total', ',instance_name="gpu1",outcome="FAILED"');
const attemptFailures = of('attempt_failures_total', ',instance_name="gpu1",code="EXECUTION_FAILED"');
const completed = of('jobs_total', ',workflow="paint",status="COMPLETED"');
const failed = of('jobs_total', ',workflow="paint",status="FAILED"');
const persisted = of('metrics_persisted_timestamp_seconds');
const up = 'up{job="comfyfleet",instance="s1:4000"}';
const lag = 'nodejs_eventloop_lag_p99_seconds{job="comfyfleet",instance="s1:4000"}';
const broken = of('graphql_errors_total', ',code="INTERNAL_SERVER_ERROR"');
const refused = of('graphql_errors_total', ',code="BAD_USER_INPUT"');

/** Nobody is called: jobs come, run and end, and one in fifty fails. */
export const HEALTHY_FLEET: Series = {
  [leader]: '1x120',
  [other]: '0x120',
  [healthy]: '3x120',
  [degraded]: '0x120',
  [waiting]: '2x120',
  [oldest]: '4x120',
  [attempts]: '0+50x120',
  [failedAttempts]: '0+1x120',
  [attemptFailures]: '0+1x120',
  [completed]: '0+49x120',
  [failed]: '0+1x120',
  [persisted]: '0+60x120',
  [stale]: '0x120',
  [of('store_up')]: '1x120',
  [of('bus_connected')]: '1x120',
  [of('instance_up', ',instance_name="gpu1"')]: '1x120',
  [up]: '1x120',
  [lag]: '0.02x120',
  [refused]: '0+100x120',
};

export const ALERT_CASES: readonly AlertCase[] = [
  {
    alert: 'ComfyfleetNoHealthyInstance',
    fires: { [healthy]: '3 0x60' },
    at: '4m',
    labels: { severity: 'critical' },
    summary: 'No instance of comfyfleet is healthy, so no job can start.',
    quiet: [
      { [healthy]: '3 0 1x60' },
      { [healthy]: '0x60', [degraded]: '1x60' },
      { [healthy]: '0x60', [leader]: '0x60' },
    ],
  },
  {
    alert: 'ComfyfleetNoHealthyInstance',
    fires: { [healthy]: '_x60', [degraded]: '_x60' },
    at: '10m',
    labels: { severity: 'critical' },
    summary: 'No instance of comfyfleet is healthy, so no job can start.',
    quiet: [],
  },
  {
    alert: 'ComfyfleetQueueNotDraining',
    // the last attempt ends after ten minutes
    fires: { [waiting]: '7x60', [attempts]: '0+50x10 500x60', [failedAttempts]: '0x60' },
    at: '26m',
    labels: { severity: 'critical' },
    summary: '7 jobs of comfyfleet wait, and no attempt ended in the last 8 minutes.',
    quiet: [
      { [waiting]: '7x60', [attempts]: '500+1x60', [failedAttempts]: '0x60' },
      { [waiting]: '0x60', [attempts]: '500x60', [failedAttempts]: '0x60' },
      // the first jobs for long take as long as they may
      { [waiting]: '0x13 7x6 0x60', [attempts]: '500x60', [failedAttempts]: '0x60' },
    ],
  },
  {
    alert: 'ComfyfleetQueueNotDraining',
    // a fleet that has never run anything
    fires: { [waiting]: '7x60', [attempts]: '_x60', [failedAttempts]: '_x60' },
    at: '8m',
    labels: { severity: 'critical' },
    summary: '7 jobs of comfyfleet wait, and no attempt ended in the last 8 minutes.',
    quiet: [],
  },
  {
    alert: 'ComfyfleetJobsWaitLong',
    fires: { [oldest]: '0+60x120', [waiting]: '0+10x120' },
    at: '60m',
    labels: { severity: 'warning' },
    summary: 'The queue of comfyfleet does not shrink; its oldest job waits for 1h 0m 0s.',
    quiet: [
      { [oldest]: '0+60x120', [waiting]: '9000-10x120' },
      { [oldest]: '60x120', [waiting]: '0+10x120' },
    ],
  },
  {
    alert: 'ComfyfleetJobsFail',
    fires: { [completed]: '0+10x60', [failed]: '0+10x60' },
    at: '10m',
    labels: { severity: 'critical' },
    summary: '50% of the jobs of comfyfleet failed in the last 10 minutes.',
    quiet: [
      { [completed]: '0+10x60', [failed]: '0+2x60' },
      // one failed, one completed, and nothing since
      { [completed]: '0x19 1x60', [failed]: '0x19 1x60' },
    ],
  },
  {
    alert: 'ComfyfleetRetriesHideFailures',
    fires: { [attempts]: '0+3x60', [failedAttempts]: '0+1x60', [attemptFailures]: '0+1x60' },
    at: '45m',
    labels: { severity: 'warning', instance_name: 'gpu1' },
    summary: '25% of the attempts on gpu1 of comfyfleet fail.',
    quiet: [{ [attempts]: '0+9x60', [failedAttempts]: '0+1x60', [attemptFailures]: '0+1x60' }],
  },
  {
    alert: 'ComfyfleetNoLeader',
    fires: { [leader]: '1x5 0x60' },
    at: '8m',
    labels: { severity: 'critical' },
    summary: 'No scheduler of comfyfleet leads, so no job starts and no result is collected.',
    quiet: [{ [leader]: '1x5 0x60', [other]: '0x5 1x60' }],
  },
  {
    alert: 'ComfyfleetTwoLeaders',
    fires: { [other]: '1x60' },
    at: '5m',
    labels: { severity: 'critical' },
    summary: '2 processes of comfyfleet say that they lead.',
    quiet: [{ [leader]: '1x5 0x60', [other]: '0x4 1x60' }],
  },
  {
    alert: 'ComfyfleetStoreAway',
    fires: { [of('store_up')]: '0x60' },
    at: '5m',
    labels: { severity: 'critical', instance: 's1:4000' },
    summary: 'The database does not answer s1:4000 of comfyfleet.',
    quiet: [{ [of('store_up')]: '1 0 1x60' }],
  },
  {
    alert: 'ComfyfleetBusAway',
    fires: { [of('bus_connected')]: '0x60' },
    at: '6m',
    labels: { severity: 'warning', instance: 's1:4000' },
    summary: 's1:4000 of comfyfleet has no connection to Redis.',
    quiet: [{ [of('bus_connected')]: '1 0x3 1x60' }],
  },
  {
    alert: 'ComfyfleetFiguresStale',
    fires: { [persisted]: '0x60' },
    at: '10m',
    labels: { severity: 'warning' },
    summary: 'The figures of comfyfleet are old, by five minutes or more, or cannot be read.',
    quiet: [{ [persisted]: '0 0 0 180+60x60' }],
  },
  {
    alert: 'ComfyfleetFiguresStale',
    fires: { [stale]: '1x60' },
    at: '3m',
    labels: { severity: 'warning' },
    summary: 'The figures of comfyfleet are old, by five minutes or more, or cannot be read.',
    quiet: [{ [stale]: '0 1 0x60' }],
  },
  {
    alert: 'ComfyfleetInstanceDown',
    fires: { [of('instance_up', ',instance_name="gpu1"')]: '0x60' },
    at: '11m',
    labels: { severity: 'warning', instance_name: 'gpu1' },
    summary: 'gpu1 of comfyfleet has not answered for 10 minutes.',
    quiet: [{ [of('instance_up', ',instance_name="gpu1"')]: '0x5 1x60' }],
  },
  {
    alert: 'ComfyfleetProcessDown',
    fires: { [up]: '0x60' },
    at: '3m',
    labels: { severity: 'warning', instance: 's1:4000' },
    summary: 's1:4000 of comfyfleet does not answer its scrape.',
    quiet: [{ [up]: '0 1x60' }, { 'up{job="postgres",instance="db:9187"}': '0x60' }],
  },
  {
    alert: 'ComfyfleetEventLoopBusy',
    fires: { [lag]: '0.7x60' },
    at: '11m',
    labels: { severity: 'warning', instance: 's1:4000' },
    summary: 'The event loop of s1:4000 of comfyfleet is late by 700ms (p99).',
    quiet: [{ [lag]: '0.02 0.7x3 0.02x60' }],
  },
  {
    alert: 'ComfyfleetGraphqlBreaks',
    fires: { [broken]: '0+2x60' },
    at: '20m',
    labels: { severity: 'warning' },
    summary: '20 operations of comfyfleet met an internal error in 10 minutes.',
    quiet: [{ [broken]: '0 1 2x60' }],
  },
];
