/**
 * Whether the instance of a run is still there, asked when fetching a file from it failed. Away is not lost: it is asked
 * again until it answers, as long as the limits for a lost instance allow. One question at a time for the whole run.
 */
import type { ComfyHttp } from '../../comfyui/http.ts';
import { nobodyListens } from '../../comfyui/http-failure.ts';
import { type Clock, pause } from '../../lib/clock.ts';

export interface PresenceParts {
  readonly http: Pick<ComfyHttp, 'getPromptCount'>;
  readonly clock: Clock;
  readonly probeTimeoutMs: number;
  readonly refusedLostMs: number;
  readonly unreachableLostMs: number;
}

/** `back`: it answers, but did not meanwhile. */
export type Found = 'there' | 'back' | 'lost';

const ASK_AGAIN_MS = 1000;

export class Presence {
  readonly #parts: PresenceParts;
  readonly #signal: AbortSignal;
  #asking: Promise<Found> | null = null;
  #wasAway = false;
  #isWaiting = false;

  constructor(parts: PresenceParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
  }

  /** It could not be reached at some time, so it may have restarted and lost its temporary files. */
  get wasAway(): boolean {
    return this.#wasAway;
  }

  /** It is away just now. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** Resolves once it answers or counts as lost; `lost` too when the signal aborts. */
  find(): Promise<Found> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
      this.#isWaiting = false;
    });
    return this.#asking;
  }

  async #ask(): Promise<Found> {
    const { http, clock, probeTimeoutMs, refusedLostMs, unreachableLostMs } = this.#parts;
    const since = clock.monotonic();
    let refusedSince: number | null = null;
    for (let found: Found = 'there'; ; found = 'back') {
      const answer = await http.getPromptCount({ deadlineMs: probeTimeoutMs, signal: this.#signal });
      // whatever it says, somebody is there
      if (answer.ok || answer.reason === 'status' || answer.reason === 'malformed') return found;
      if (this.#signal.aborted) return 'lost';
      this.#wasAway = true;
      this.#isWaiting = true;
      const now = clock.monotonic();
      refusedSince = nobodyListens(answer) ? (refusedSince ?? now) : null;
      if (refusedSince !== null && now - refusedSince >= refusedLostMs) return 'lost';
      if (now - since >= unreachableLostMs) return 'lost';
      await pause(clock, Math.min(ASK_AGAIN_MS, refusedLostMs), this.#signal);
    }
  }
}
