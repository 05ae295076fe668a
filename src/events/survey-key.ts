/** The newest picture of the queue in Redis, for every replica: one key, which dies by itself when nobody leads. */
import { z } from 'zod';
import type { Survey } from '../domain/survey.ts';
import type { Clock } from '../lib/clock.ts';
import { inTime } from './in-time.ts';
import type { Wire } from './wire.ts';

export interface SurveyKeyOptions {
  readonly wire: Wire;
  readonly clock: Clock;
  readonly prefix: string;
}

const TTL_MS = 60_000;
const ANSWER_WITHIN_MS = 1000;
/** A queue of very many tenants is described by as much; places of jobs are then read from rows. */
const MAX_LENGTH = 8 * 1024 * 1024;

const moment = z.number().nullable();
/** Whoever can reach Redis may have written it. */
const schema = z.object({
  at: z.number(),
  front: z.array(z.tuple([z.string(), moment])),
  streams: z.array(
    z.object({
      tenant: z.string(),
      priority: z.number(),
      marks: z.array(z.object({ createdAt: z.number(), rank: z.number(), startsAt: moment })),
    }),
  ),
  stranded: z.array(z.string()),
  // absent from earlier versions
  capped: z.array(z.tuple([z.string(), z.number()])).default([]),
  drainedAt: moment,
});

export class SurveyKey {
  readonly #wire: Wire;
  readonly #clock: Clock;
  readonly #key: string;

  constructor({ wire, clock, prefix }: SurveyKeyOptions) {
    this.#wire = wire;
    this.#clock = clock;
    this.#key = `${prefix}:survey`;
  }

  /** Sent before it returns. One that could not be written is soon followed by a newer one. */
  keep(survey: Survey): void {
    const text = JSON.stringify(survey);
    if (text.length > MAX_LENGTH) return;
    this.#wire
      .command(text.length, (redis) => redis.set(this.#key, text, 'PX', TTL_MS))
      ?.catch(() => undefined);
  }

  /** Null where there is none, or none that this version can read. */
  async read(): Promise<Survey | null> {
    const text = await inTime(
      this.#clock,
      ANSWER_WITHIN_MS,
      this.#wire.command(0, (redis) => redis.get(this.#key)),
    );
    if (!text) return null;
    try {
      return schema.safeParse(JSON.parse(text)).data ?? null;
    } catch {
      return null;
    }
  }
}
