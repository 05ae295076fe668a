/**
 * The environment, parsed once into a frozen Config; every problem is reported together. `.env.example` documents
 * each knob; main.ts is the only reader of process.env and hands the parts their slice.
 */
import { z } from 'zod';
import { camelCased } from './config/camel-case.ts';
import { type ConfiguredInstance, parseInstances } from './config/instances.ts';
import { missingForRole, type Role } from './config/roles.ts';
import {
  bytes,
  flag,
  integer,
  list,
  milliseconds,
  type TrustProxy,
  trustedProxies,
  webUrl,
} from './config/values.ts';
import type { LogLevel } from './lib/logger.ts';

export type { ConfiguredInstance } from './config/instances.ts';
export type { Role } from './config/roles.ts';
export type { TrustProxy } from './config/values.ts';

export interface Config {
  readonly port: number;
  readonly host: string;
  /** What this process does; api and scheduler need a database, a bus and a storage that they share with others. */
  readonly role: Role;
  readonly comfyuiInstances: readonly ConfiguredInstance[];
  readonly databaseUrl: string | undefined;
  readonly databaseSynchronous: 'FULL' | 'NORMAL';
  readonly databasePoolMax: number;
  readonly redisUrl: string | undefined;
  readonly redisPrefix: string;
  readonly storageUrl: string | undefined;
  readonly leaseTtlMs: number;
  readonly trustProxy: TrustProxy;
  readonly dataDir: string;
  readonly workflowsDir: string | undefined;
  readonly publicUrl: string | undefined;
  readonly publicFilesUrl: string | undefined;
  readonly corsOrigins: readonly string[];
  readonly logLevel: LogLevel;
  readonly logFormat: 'json' | 'pretty';
  /** Folder of log files, beside what goes to stdout; undefined for none. */
  readonly logDir: string | undefined;
  /** Serves /metrics. */
  readonly prometheus: boolean;
  readonly metricsRetentionMs: number;
  /** Of a second on an instance, in any currency; null for no prices. */
  readonly gpuSecondPrice: number | null;
  /** Base URL of an OpenTelemetry collector; undefined: nothing is traced. */
  readonly otelExporterOtlpEndpoint: string | undefined;
  /** `name=value` pairs, percent-encoded: a secret. */
  readonly otelExporterOtlpHeaders: readonly string[];
  readonly otelServiceName: string;
  /** Share of the traces begun here that are kept. */
  readonly otelTracesSamplerArg: number;
  readonly jobTimeoutMs: number;
  readonly jobRetentionMs: number;
  readonly cleanupIntervalMs: number;
  readonly maxAttempts: number;
  readonly retryBaseMs: number;
  readonly retryCapMs: number;
  readonly maxCrashes: number;
  readonly retryBudgetPercent: number;
  readonly priorityAgeingMs: number;
  /** Weights and caps of tenants. */
  readonly tenantLimitsFile: string | undefined;
  readonly maxJobsPerInstance: number;
  readonly maxConcurrentJobs: number | null;
  readonly maxQueuedJobs: number;
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
  readonly inventoryRefreshMs: number;
  readonly unhealthyAfterMisses: number;
  readonly breakerThreshold: number;
  readonly breakerOpenMs: number;
  readonly canaryTimeoutMs: number;
  readonly reconcileIntervalMs: number;
  readonly silenceMs: number;
  readonly submitGraceMs: number;
  readonly refusedLostMs: number;
  readonly unreachableLostMs: number;
  readonly stalledStartMs: number;
  readonly maxUploadBytes: number;
  readonly maxUploadPixels: number;
  readonly maxBodyBytes: number;
  readonly maxOutputBytes: number;
  readonly maxJobOutputBytes: number;
  readonly maxTransfers: number;
  readonly minTransferRate: number;
  readonly storageFullPatienceMs: number;
  readonly allowPrivateImageUrls: boolean;
  readonly signingKeys: readonly string[];
  readonly fileUrlTtlMs: number;
  readonly graphiql: boolean;
  readonly comfyuiWebsocket: boolean;
  readonly shutdownDelayMs: number;
  readonly shutdownGraceMs: number;
  /** For fault tests: where the process kills itself; main.ts knows the labels. */
  readonly crashAt: string | undefined;
}

/** The environment could not be understood; the message lists every problem, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const environment = z.object({
  PORT: integer(0, 65_535).default(4000),
  HOST: z.string().min(1).default('127.0.0.1'),
  ROLE: z.enum(['all', 'api', 'scheduler'], { error: 'must be all, api or scheduler' }).default('all'),
  COMFYUI_INSTANCES: list,
  DATABASE_URL: z.string().optional(),
  DATABASE_SYNCHRONOUS: z.enum(['FULL', 'NORMAL']).default('FULL'),
  DATABASE_POOL_MAX: integer(2, 1000).default(10),
  REDIS_URL: z.url({ protocol: /^rediss?$/, error: 'must be a redis:// or rediss:// URL' }).optional(),
  REDIS_PREFIX: z
    .string()
    .regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits, ".", "_" or "-"')
    .default('comfyfleet'),
  STORAGE_URL: z.url({ protocol: /^(s3|file)$/, error: 'must be an s3:// or file:// URL' }).optional(),
  LEASE_TTL_MS: milliseconds(10_000, 1000),
  TRUST_PROXY: trustedProxies,
  DATA_DIR: z.string().min(1).default('./data'),
  WORKFLOWS_DIR: z.string().min(1).optional(),
  PUBLIC_URL: webUrl.optional(),
  PUBLIC_FILES_URL: webUrl.optional(),
  CORS_ORIGINS: list,
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  LOG_FORMAT: z.enum(['json', 'pretty'], { error: 'must be json or pretty' }).default('json'),
  LOG_DIR: z.string().min(1).optional(),
  PROMETHEUS: flag('true'),
  METRICS_RETENTION_MS: milliseconds(365 * 86_400_000, 3_600_000),
  GPU_SECOND_PRICE: z.coerce.number().min(0).max(1_000_000).optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: webUrl.optional(),
  OTEL_EXPORTER_OTLP_HEADERS: list,
  OTEL_SERVICE_NAME: z.string().min(1).max(100).default('comfyfleet'),
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(1),
  JOB_TIMEOUT_MS: milliseconds(300_000),
  JOB_RETENTION_MS: milliseconds(7 * 86_400_000),
  CLEANUP_INTERVAL_MS: milliseconds(3_600_000),
  JOB_MAX_ATTEMPTS: integer(1, 10).default(3),
  RETRY_BASE_MS: milliseconds(1000),
  RETRY_CAP_MS: milliseconds(60_000),
  JOB_MAX_CRASHES: integer(1, 1000).default(2),
  RETRY_BUDGET_PERCENT: integer(1, 100).default(10),
  PRIORITY_AGEING_MS: milliseconds(300_000),
  TENANT_LIMITS_FILE: z.string().min(1).optional(),
  MAX_JOBS_PER_INSTANCE: integer(1, 64).default(1),
  MAX_CONCURRENT_JOBS: integer(1, 1_000_000).optional(),
  MAX_QUEUED_JOBS: integer(1, 10_000_000).default(10_000),
  PROBE_INTERVAL_MS: milliseconds(5000),
  PROBE_TIMEOUT_MS: milliseconds(3000),
  INVENTORY_REFRESH_MS: milliseconds(600_000),
  UNHEALTHY_AFTER_MISSES: integer(1, 100).default(3),
  BREAKER_THRESHOLD: integer(1, 1000).default(3),
  BREAKER_OPEN_MS: milliseconds(30_000),
  CANARY_TIMEOUT_MS: milliseconds(10_000),
  RECONCILE_INTERVAL_MS: milliseconds(10_000),
  SILENCE_MS: milliseconds(15_000),
  SUBMIT_GRACE_MS: milliseconds(30_000),
  REFUSED_LOST_MS: milliseconds(10_000),
  UNREACHABLE_LOST_MS: milliseconds(40_000),
  STALLED_START_MS: milliseconds(30_000),
  MAX_UPLOAD_BYTES: bytes(10 * 2 ** 20),
  MAX_UPLOAD_PIXELS: integer(1, 1_000_000_000).default(50_000_000),
  MAX_BODY_BYTES: bytes(2 ** 20),
  MAX_OUTPUT_BYTES: bytes(2 ** 30),
  MAX_JOB_OUTPUT_BYTES: bytes(4 * 2 ** 30),
  MAX_TRANSFERS: integer(1, 1000).default(32),
  MIN_TRANSFER_RATE: bytes(64 * 1024),
  STORAGE_FULL_PATIENCE_MS: milliseconds(3_600_000),
  ALLOW_PRIVATE_IMAGE_URLS: flag('false'),
  SIGNING_KEYS: list,
  FILE_URL_TTL_MS: milliseconds(3_600_000),
  GRAPHIQL: flag('true'),
  COMFYUI_WEBSOCKET: flag('true'),
  SHUTDOWN_DELAY_MS: milliseconds(0, 0),
  SHUTDOWN_GRACE_MS: milliseconds(6000),
  CRASH_AT: z.string().optional(),
});

/** Parses the environment; empty variables count as unset. @throws ConfigError naming every problem. */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = environment.safeParse(given);
  const problems = parsed.success ? [] : parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`);
  const instances = parseInstances(
    given.COMFYUI_INSTANCES ?? '',
    Number(given.MAX_JOBS_PER_INSTANCE ?? 1),
    problems,
  );
  problems.push(...missingForRole(given));
  if (!parsed.success || problems.length > 0) {
    throw new ConfigError(`the configuration has ${problems.length} problem(s):\n  ${problems.join('\n  ')}`);
  }
  return Object.freeze(toConfig(parsed.data, instances));
}

function toConfig(
  {
    JOB_MAX_ATTEMPTS,
    JOB_MAX_CRASHES,
    MAX_CONCURRENT_JOBS,
    GPU_SECOND_PRICE,
    ...env
  }: z.output<typeof environment>,
  comfyuiInstances: readonly ConfiguredInstance[],
): Config {
  return {
    ...camelCased(env),
    comfyuiInstances,
    maxAttempts: JOB_MAX_ATTEMPTS,
    maxCrashes: JOB_MAX_CRASHES,
    maxConcurrentJobs: MAX_CONCURRENT_JOBS ?? null,
    gpuSecondPrice: GPU_SECOND_PRICE ?? null,
  };
}
