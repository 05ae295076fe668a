/** Tells waiting jobs why their class waits: a row per class, written only when it changes. */
import type { EventBus } from '../events/bus.ts';
import { setBlocked } from '../store/needs.ts';
import type { Db } from '../store/open.ts';

export class QueueNews {
  readonly #db: Db;
  readonly #bus: Pick<EventBus, 'publish'>;
  readonly #written = new Map<string, string | null>();

  constructor(db: Db, bus: Pick<EventBus, 'publish'>) {
    this.#db = db;
    this.#bus = bus;
  }

  /** Writes what is new, while `goOn` says so; `now` in epoch ms. */
  async reasons(
    blocked: ReadonlyMap<string, string | null>,
    now: number,
    goOn: () => boolean,
  ): Promise<void> {
    for (const key of this.#written.keys()) {
      if (blocked.has(key)) continue;
      if (!goOn()) return;
      if (this.#written.get(key) !== null) await setBlocked(this.#db, key, null, now);
      this.#written.delete(key);
    }
    for (const [key, reason] of blocked) {
      if (this.#written.get(key) === reason) continue;
      if (!goOn()) return;
      const news = await setBlocked(this.#db, key, reason, now);
      this.#written.set(key, reason);
      if (news) this.#bus.publish({ kind: 'queue', at: now });
    }
  }
}
