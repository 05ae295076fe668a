/**
 * The environment, parsed once into a frozen Config; every problem is reported together. `.env.example` documents
 * each knob; main.ts is the only reader of process.env and hands the parts their slice.
 */
import { z } from 'zod';
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
  readonly jobTimeoutMs: number;
  readonly jobRetentionMs: number;
  readonly cleanupIntervalMs: number;
  readonly maxAttempts: number;
  readonly retryBaseMs: number;
  readonly retryCapMs: number;
  readonly maxCrashes: number;
  readonly retryBudgetPercent: number;
  readonly maxJobsPerInstance: number;
  readonly maxConcurrentJobs: number | null;
  readonly maxQueuedJobs: number;
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
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
  JOB_TIMEOUT_MS: milliseconds(300_000),
  JOB_RETENTION_MS: milliseconds(7 * 86_400_000),
  CLEANUP_INTERVAL_MS: milliseconds(3_600_000),
  JOB_MAX_ATTEMPTS: integer(1, 10).default(3),
  RETRY_BASE_MS: milliseconds(1000),
  RETRY_CAP_MS: milliseconds(60_000),
  JOB_MAX_CRASHES: integer(1, 1000).default(2),
  RETRY_BUDGET_PERCENT: integer(1, 100).default(10),
  MAX_JOBS_PER_INSTANCE: integer(1, 64).default(1),
  MAX_CONCURRENT_JOBS: integer(1, 1_000_000).optional(),
  MAX_QUEUED_JOBS: integer(1, 10_000_000).default(10_000),
  PROBE_INTERVAL_MS: milliseconds(5000),
  PROBE_TIMEOUT_MS: milliseconds(3000),
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
  env: z.output<typeof environment>,
  comfyuiInstances: readonly ConfiguredInstance[],
): Config {
  return {
    port: env.PORT,
    host: env.HOST,
    role: env.ROLE,
    comfyuiInstances,
    databaseUrl: env.DATABASE_URL,
    databaseSynchronous: env.DATABASE_SYNCHRONOUS,
    databasePoolMax: env.DATABASE_POOL_MAX,
    redisUrl: env.REDIS_URL,
    redisPrefix: env.REDIS_PREFIX,
    storageUrl: env.STORAGE_URL,
    leaseTtlMs: env.LEASE_TTL_MS,
    trustProxy: env.TRUST_PROXY,
    dataDir: env.DATA_DIR,
    workflowsDir: env.WORKFLOWS_DIR,
    publicUrl: env.PUBLIC_URL,
    publicFilesUrl: env.PUBLIC_FILES_URL,
    corsOrigins: env.CORS_ORIGINS,
    logLevel: env.LOG_LEVEL,
    jobTimeoutMs: env.JOB_TIMEOUT_MS,
    jobRetentionMs: env.JOB_RETENTION_MS,
    cleanupIntervalMs: env.CLEANUP_INTERVAL_MS,
    maxAttempts: env.JOB_MAX_ATTEMPTS,
    retryBaseMs: env.RETRY_BASE_MS,
    retryCapMs: env.RETRY_CAP_MS,
    maxCrashes: env.JOB_MAX_CRASHES,
    retryBudgetPercent: env.RETRY_BUDGET_PERCENT,
    maxJobsPerInstance: env.MAX_JOBS_PER_INSTANCE,
    maxConcurrentJobs: env.MAX_CONCURRENT_JOBS ?? null,
    maxQueuedJobs: env.MAX_QUEUED_JOBS,
    probeIntervalMs: env.PROBE_INTERVAL_MS,
    probeTimeoutMs: env.PROBE_TIMEOUT_MS,
    unhealthyAfterMisses: env.UNHEALTHY_AFTER_MISSES,
    breakerThreshold: env.BREAKER_THRESHOLD,
    breakerOpenMs: env.BREAKER_OPEN_MS,
    canaryTimeoutMs: env.CANARY_TIMEOUT_MS,
    reconcileIntervalMs: env.RECONCILE_INTERVAL_MS,
    silenceMs: env.SILENCE_MS,
    submitGraceMs: env.SUBMIT_GRACE_MS,
    refusedLostMs: env.REFUSED_LOST_MS,
    unreachableLostMs: env.UNREACHABLE_LOST_MS,
    stalledStartMs: env.STALLED_START_MS,
    maxUploadBytes: env.MAX_UPLOAD_BYTES,
    maxUploadPixels: env.MAX_UPLOAD_PIXELS,
    maxBodyBytes: env.MAX_BODY_BYTES,
    maxOutputBytes: env.MAX_OUTPUT_BYTES,
    maxJobOutputBytes: env.MAX_JOB_OUTPUT_BYTES,
    maxTransfers: env.MAX_TRANSFERS,
    minTransferRate: env.MIN_TRANSFER_RATE,
    storageFullPatienceMs: env.STORAGE_FULL_PATIENCE_MS,
    allowPrivateImageUrls: env.ALLOW_PRIVATE_IMAGE_URLS,
    signingKeys: env.SIGNING_KEYS,
    fileUrlTtlMs: env.FILE_URL_TTL_MS,
    graphiql: env.GRAPHIQL,
    comfyuiWebsocket: env.COMFYUI_WEBSOCKET,
    shutdownDelayMs: env.SHUTDOWN_DELAY_MS,
    shutdownGraceMs: env.SHUTDOWN_GRACE_MS,
    crashAt: env.CRASH_AT,
  };
}
