/** How far each publisher of the fleet has counted, so that a message that did not arrive is missed. Pure. */

/** Beats come every second: who misses this many may have died with something unsaid. */
const SILENT_MS = 3500;
const FORGOTTEN_MS = 60_000;
/** Whoever can reach the channel can invent publishers. */
const MOST = 1000;

interface Publisher {
  readonly n: number;
  /** Monotonic ms. */
  readonly heardAt: number;
  readonly silent: boolean;
}

/** `next`: the one expected. `hole`: something before it is missing. `old`: known already, or missed and made up for. */
export type Hearing = 'next' | 'hole' | 'old';

export class Publishers {
  /** Heard longest ago first. */
  readonly #known = new Map<string, Publisher>();

  /** Its message number `n` came. One never heard of should begin with 1. */
  news(from: string, n: number, now: number): Hearing {
    const last = this.#known.get(from)?.n ?? 0;
    this.#note(from, Math.max(n, last), now);
    if (n <= last) return 'old';
    return n === last + 1 ? 'next' : 'hole';
  }

  /** It has counted to `n`. */
  beat(from: string, n: number, now: number): Hearing {
    const last = this.#known.get(from)?.n ?? 0;
    this.#note(from, Math.max(n, last), now);
    return n > last ? 'hole' : 'old';
  }

  forget(from: string): void {
    this.#known.delete(from);
  }

  /**
   * Whether one has fallen silent since it was asked last. It may have died between writing a row and telling of it, or
   * before its last message left, and nobody will number that.
   */
  fellSilent(now: number): boolean {
    let fell = false;
    for (const [from, publisher] of this.#known) {
      const silence = now - publisher.heardAt;
      if (silence < SILENT_MS) break;
      if (silence >= FORGOTTEN_MS) this.#known.delete(from);
      else if (!publisher.silent) {
        this.#known.set(from, { ...publisher, silent: true });
        fell = true;
      }
    }
    return fell;
  }

  /** Time in which nobody could be heard counts against nobody. */
  excuse(now: number): void {
    for (const [from, { n }] of this.#known) this.#known.set(from, { n, heardAt: now, silent: false });
  }

  get size(): number {
    return this.#known.size;
  }

  #note(from: string, n: number, heardAt: number): void {
    this.#known.delete(from);
    this.#known.set(from, { n, heardAt, silent: false });
    if (this.#known.size <= MOST) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }
}
