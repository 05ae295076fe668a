/** What /status says: one line, soon and cheaply, also while the store is slow. */
import { inTime } from '../events/in-time.ts';
import type { HealthReport, HealthStatus } from '../graphql/health-report.ts';
import type { Clock } from '../lib/clock.ts';

export interface StatusLine {
  readonly status: HealthStatus;
  readonly line: string;
}

/** Whoever asks is answered within this time. */
const SOON_MS = 500;
/** Older reports say nothing of now. */
const RECENT_MS = 10_000;
const MOST_NAMES = 5;

export class StatusLines {
  readonly #clock: Clock;
  readonly #health: () => Promise<HealthReport>;
  #coming: Promise<HealthReport> | null = null;
  #last: { readonly tick: number; readonly report: HealthReport } | null = null;

  constructor({ clock, health }: { readonly clock: Clock; readonly health: () => Promise<HealthReport> }) {
    this.#clock = clock;
    this.#health = health;
  }

  /** Of a report made now, which all share who ask meanwhile; when that takes long, of the last one if it is recent. */
  async now(): Promise<StatusLine> {
    const report = await inTime(this.#clock, SOON_MS, this.#ask());
    if (report) return { status: report.status, line: lineOf(report) };
    const age = this.#clock.monotonic() - (this.#last?.tick ?? Number.NEGATIVE_INFINITY);
    if (!this.#last || age > RECENT_MS)
      return { status: 'DEGRADED', line: `DEGRADED no report within ${SOON_MS} ms: the store is slow` };
    const { report: last } = this.#last;
    return { status: last.status, line: `${lineOf(last)}, ${Math.ceil(age / 1000)}s ago` };
  }

  #ask(): Promise<HealthReport> {
    this.#coming ??= this.#make().finally(() => {
      this.#coming = null;
    });
    return this.#coming;
  }

  async #make(): Promise<HealthReport> {
    const report = await this.#health();
    this.#last = { tick: this.#clock.monotonic(), report };
    return report;
  }
}

function lineOf(report: HealthReport): string {
  const { status, instancesHealthy, instancesTotal, activeJobs, uptimeMs, version } = report;
  const seconds = Math.floor(uptimeMs / 1000);
  const line = `${status} instances ${instancesHealthy}/${instancesTotal} jobs ${activeJobs} up ${seconds}s version ${version}`;
  const failing = report.checks.filter(({ ok }) => !ok).map(({ name }) => name);
  if (failing.length === 0) return line;
  const more = failing.length > MOST_NAMES ? ` and ${failing.length - MOST_NAMES} more` : '';
  return `${line} failing: ${failing.slice(0, MOST_NAMES).join(', ')}${more}`;
}
