/**
 * Every metric of ours that Prometheus is told, beside what prom-client tells of the process (process_*, nodejs_*). Base
 * units; labels are bounded: workflows, instances, statuses, codes, routes of ours, never what a client chose.
 *
 *   FLEET     of the whole fleet, read from the store: told by the process that leads, so that each is told once, and they go
 *             on where they were after a restart or with another leader
 *   PROCESS   of the process that is asked, counted since it started
 */

export interface MetricFacts {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
}

export const PREFIX = 'comfyfleet_';

export const FLEET_METRICS = {
  jobs_submitted_total: { type: 'counter', labels: ['workflow'], help: 'Jobs taken in.' },
  jobs_total: {
    type: 'counter',
    labels: ['workflow', 'status'],
    help: 'Jobs that ended, by JobStatus: COMPLETED, FAILED, CANCELED.',
  },
  job_failures_total: {
    type: 'counter',
    labels: ['workflow', 'code'],
    help: 'Jobs that ended FAILED, by JobErrorCode.',
  },
  attempts_total: {
    type: 'counter',
    labels: ['instance_name', 'outcome'],
    help: 'Attempts that ended: SUCCEEDED, FAILED, CANCELED, LOST.',
  },
  attempt_failures_total: {
    type: 'counter',
    labels: ['instance_name', 'code'],
    help: 'Attempts that ended FAILED or LOST, by JobErrorCode: what retries hide too.',
  },
  job_queue_seconds: {
    type: 'histogram',
    labels: ['workflow'],
    help: 'From submit to the first attempt, counted when that begins.',
  },
  job_run_seconds: {
    type: 'histogram',
    labels: ['workflow'],
    help: 'Time on the instance of jobs that ended COMPLETED.',
  },
  instance_gpu_seconds_total: {
    type: 'counter',
    labels: ['instance_name'],
    help: 'Time that ended attempts were on the instance, whatever came of them.',
  },
  queue_depth: { type: 'gauge', labels: [], help: 'Jobs that wait.' },
  queue_oldest_seconds: {
    type: 'gauge',
    labels: [],
    help: 'How long the job that waits longest has waited; 0 while none waits.',
  },
  jobs_running: { type: 'gauge', labels: [], help: 'Jobs that instances have.' },
  instances: {
    type: 'gauge',
    labels: ['health'],
    help: 'Instances by health: HEALTHY, DEGRADED, UNHEALTHY, UNKNOWN.',
  },
  instance_up: {
    type: 'gauge',
    labels: ['instance_name'],
    help: '1 while the instance answers (HEALTHY or DEGRADED).',
  },
  instance_running: {
    type: 'gauge',
    labels: ['instance_name'],
    help: 'Attempts of ours that the instance has.',
  },
  instance_response_seconds: {
    type: 'gauge',
    labels: ['instance_name'],
    help: 'How long the last probe took; absent before the first.',
  },
  instance_vram_used_bytes: {
    type: 'gauge',
    labels: ['instance_name'],
    help: 'Memory in use on the GPU at the last probe; absent where it is not told.',
  },
  instance_vram_total_bytes: {
    type: 'gauge',
    labels: ['instance_name'],
    help: 'Memory of the GPU; absent where it is not told.',
  },
  metrics_persisted_timestamp_seconds: {
    type: 'gauge',
    labels: [],
    help: 'Up to when everything that happened is counted (unix time); absent before the first.',
  },
} as const satisfies Record<string, MetricFacts>;

export type FleetMetric = keyof typeof FLEET_METRICS;

export const PROCESS_METRICS = {
  leader: {
    type: 'gauge',
    labels: [],
    help: '1 while this process leads the fleet, 0 on standby; absent where there is no scheduler.',
  },
  fleet_figures_stale: {
    type: 'gauge',
    labels: [],
    help: 'Of the leader: 1 when the figures of the fleet could not be read in time, so that they are older or absent.',
  },
  store_up: { type: 'gauge', labels: [], help: '1 when the database answers this process.' },
  bus_connected: {
    type: 'gauge',
    labels: [],
    help: '1 while messages of the bus travel; 0 without Redis: news comes late.',
  },
  graphql_request_duration_seconds: {
    type: 'histogram',
    labels: ['operation_type', 'transport', 'outcome'],
    help: 'Operations from text to answer, by query, mutation, subscription, unknown (could not be read); http, sse, websocket; ok, error. Of a subscription, how long it lasted.',
  },
  graphql_errors_total: {
    type: 'counter',
    labels: ['code'],
    help: 'Operations with a top-level error, by extensions.code.',
  },
  http_request_duration_seconds: {
    type: 'histogram',
    labels: ['route', 'method', 'status'],
    help: 'HTTP requests to the end of their answers, also of those that were cut, by route template; 499 where the client left before. Streams last.',
  },
  subscriptions_active: {
    type: 'gauge',
    labels: ['field'],
    help: 'Subscriptions that are open, by their field in the schema.',
  },
  websocket_connections: { type: 'gauge', labels: [], help: 'WebSocket connections that are open.' },
  dropped_events_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Messages that somebody did not get: subscribers that lag (conflated, expendable, overflow), the bus (malformed, foreign, tooLarge, refused, failed). Rows are read instead.',
  },
  upload_bytes_total: { type: 'counter', labels: [], help: 'Bytes of pictures taken in from clients.' },
  comfyui_request_duration_seconds: {
    type: 'histogram',
    labels: ['route', 'outcome'],
    help: 'Calls to instances, by route template and what came of them: ok, status (400 and above), refused, timeout, reset, malformed, aborted, source.',
  },
} as const satisfies Record<string, MetricFacts>;

export type ProcessMetric = keyof typeof PROCESS_METRICS;
