/** What the programs of a scenario find in their environment. */

export type Env = Readonly<Record<string, string>>;

/** Everything found out by asking is found out soon: for rounds that bring about in minutes what takes days. */
export const QUICK: Env = {
  HOST: '127.0.0.1',
  LOG_LEVEL: 'info',
  DATABASE_SYNCHRONOUS: 'NORMAL',
  PROBE_INTERVAL_MS: '250',
  PROBE_TIMEOUT_MS: '1000',
  RECONCILE_INTERVAL_MS: '500',
  SILENCE_MS: '2000',
  REFUSED_LOST_MS: '1500',
  UNREACHABLE_LOST_MS: '4000',
  SUBMIT_GRACE_MS: '2000',
  BREAKER_OPEN_MS: '500',
  RETRY_BASE_MS: '20',
  RETRY_CAP_MS: '200',
};

/** Nothing of the settings of whoever runs the scenario. */
export function bareEnvironment(): Env {
  const { PATH = '', HOME = '', TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }) };
}
