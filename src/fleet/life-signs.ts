/**
 * When anything came from an instance last, and whether it is still the process that it was. ComfyUI names no start of
 * its own, but its history lives as long as its process: whoever knows the prompt that ended last was never restarted.
 */
import type { ComfyHttp } from '../comfyui/http.ts';
import type { ComfyMessage } from '../comfyui/messages.ts';
import type { Clock } from '../lib/clock.ts';

/**
 * `first`: to this process, which knows nothing of it yet. `restarted`: what it had in memory and its history are gone,
 * or may be. `same`: it still knows the prompt that ended last, so it was only out of reach.
 */
export type Comeback = 'first' | 'restarted' | 'same';

export interface LifeSignsParts {
  readonly http: Pick<ComfyHttp, 'getHistoryEntry'>;
  readonly clock: Clock;
  readonly deadlineMs: number;
}

export class LifeSigns {
  readonly #parts: LifeSignsParts;
  #lastAt = Number.NEGATIVE_INFINITY;
  /** The prompt that ended last, whoever's; null while none is known. */
  #lastEnded: string | null = null;
  #isKnown = false;
  #wasCut = false;

  constructor(parts: LifeSignsParts) {
    this.#parts = parts;
  }

  /** Something came from it. */
  note(): void {
    this.#lastAt = this.#parts.clock.monotonic();
  }

  /** Nothing came from it for longer than so many ms. */
  areOlderThan(ms: number): boolean {
    return this.#parts.clock.monotonic() - this.#lastAt > ms;
  }

  heard(message: ComfyMessage): void {
    if (message.kind !== 'executing' || message.node !== null) return;
    this.#lastEnded = message.promptId ?? this.#lastEnded;
  }

  /** Its socket was cut from the other side. */
  cut(): void {
    this.#wasCut = true;
  }

  /** It answers: as what it came back, or null when it was never away. `missed`: it had not answered before. */
  async comeback(missed: boolean): Promise<Comeback | null> {
    const [isKnown, wasCut] = [this.#isKnown, this.#wasCut];
    this.#isKnown = true;
    this.#wasCut = false;
    if (!isKnown) return 'first';
    if (!missed && !wasCut) return null;
    if (await this.#isTheSame()) return missed ? 'same' : null;
    this.#lastEnded = null;
    return 'restarted';
  }

  async #isTheSame(): Promise<boolean> {
    if (this.#lastEnded === null) return false;
    const { http, deadlineMs } = this.#parts;
    const entry = await http.getHistoryEntry(this.#lastEnded, { deadlineMs });
    return entry.ok && entry.value !== null;
  }
}
