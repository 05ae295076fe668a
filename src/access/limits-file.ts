/**
 * Weights and caps of tenants by a file that may change at any time. Its text is read again every few seconds and compared:
 * watching files tells nothing on mounted volumes, and a ConfigMap is changed by another link, not by a write. What cannot
 * be understood later on changes nothing: the last good limits stay, and the log says once why.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { ConfigError } from '../config.ts';
import { type LimitsOf, sameForAll, type TenantLimits } from '../domain/tenant-limits.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { Loop } from '../lib/loop.ts';
import type { Service } from '../lib/service.ts';
import { parseLimits } from './parse-limits.ts';

export interface LimitsFileOptions {
  /** Undefined: no file, and no limits. */
  readonly path: string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

const READ_EVERY_MS = 2000;

export class LimitsFile implements Service {
  readonly #options: LimitsFileOptions;
  readonly #loop: Loop;
  readonly #listeners = new Set<() => void>();
  #limitsOf: LimitsOf = sameForAll;
  /** What was found last: its text, or why there was none. */
  #found: Found | null = null;

  /** Reads the file. @throws ConfigError naming all that is wrong with it. */
  constructor(options: LimitsFileOptions) {
    this.#options = options;
    const { path, clock, logger } = options;
    this.#loop = new Loop({
      name: 'tenant limits',
      intervalMs: READ_EVERY_MS,
      step: async (signal) => {
        if (path !== undefined) await this.#look(path, signal);
      },
      clock,
      logger,
    });
    if (path === undefined) return;
    const problems = this.#take(readNow(path));
    if (problems.length > 0) {
      throw new ConfigError(
        `TENANT_LIMITS_FILE: ${path} has ${problems.length} problem(s):\n  ${problems.join('\n  ')}`,
      );
    }
  }

  /** As the file says at this moment. */
  readonly limitsOf = (tenant: string): TenantLimits => this.#limitsOf(tenant);

  /** Called after each change; must not throw. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  async start(): Promise<void> {
    if (this.#options.path !== undefined) await this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #look(path: string, signal: AbortSignal): Promise<void> {
    const { logger } = this.#options;
    const found = await readFile(path, { encoding: 'utf8', signal }).then(asText, asFailure);
    if (signal.aborted) return;
    const before = this.#found;
    if (found.text === before?.text && found.failure === before.failure) return;
    const problems = this.#take(found);
    if (problems.length > 0) {
      logger.error({ file: path, problems }, 'the limits of tenants were not changed: their file is wrong');
      return;
    }
    logger.info({ file: path }, 'the limits of tenants were read');
    for (const listener of this.#listeners) listener();
  }

  /** What is wrong with it; nothing, and it is in force. */
  #take(found: Found): readonly string[] {
    this.#found = found;
    if (found.text === null) return [found.failure];
    const parsed = parseLimits(found.text);
    if (!parsed.ok) return parsed.problems;
    this.#limitsOf = parsed.limitsOf;
    return [];
  }
}

type Found =
  | { readonly text: string; readonly failure: null }
  | { readonly text: null; readonly failure: string };

const asText = (text: string): Found => ({ text, failure: null });

function asFailure(error: unknown): Found {
  const code = error instanceof Error && 'code' in error ? error.code : error;
  return { text: null, failure: `cannot be read (${code})` };
}

function readNow(path: string): Found {
  try {
    return asText(readFileSync(path, 'utf8'));
  } catch (error) {
    return asFailure(error);
  }
}
