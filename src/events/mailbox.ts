/**
 * The queue of one subscriber: bounded and conflating, so that a reader that lags costs little and, when it comes back,
 * finds what matters. A pure data structure; waiting belongs to subscription.ts.
 *
 * Each message has a fate:
 *   conflated   a newer one of the same subject replaces it and takes the newest place, so it never overtakes what was
 *               published before it (progress, preview, instance, queue figures)
 *   expendable  dropped, oldest first, when room is needed (previews and the running commentary: node, cached, comfy)
 *   guarded     everything else is never dropped alone: without room the whole mailbox becomes one gap signal
 */
import { assert } from '../lib/assert.ts';
import type { BusSignal } from './bus.ts';
import type { OnDropped } from './dropped.ts';
import type { BusMessage } from './messages.ts';

/** Newer messages replace older ones of the same subject; null for messages that stand alone. */
function subjectOf(message: BusMessage): string | null {
  switch (message.kind) {
    case 'instance':
      return `instance:${message.instanceId}`;
    case 'queue':
      return 'queue';
    case 'hint':
      return `hint:${message.hint}:${message.jobId ?? ''}`;
    case 'job': {
      const { type } = message.change;
      return type === 'progress' || type === 'preview' ? `${type}:${message.jobId}` : null;
    }
  }
}

function isExpendable(message: BusMessage): boolean {
  if (message.kind !== 'job') return false;
  const { type } = message.change;
  return type === 'preview' || type === 'node' || type === 'cached' || type === 'comfy';
}

export class Mailbox {
  readonly #limit: number;
  readonly #onDropped: OnDropped;
  /** In order of arrival; the key is the subject, or a number for messages that stand alone. */
  readonly #signals = new Map<string | number, BusSignal>();
  /** Keys of the expendable ones, in the same order. */
  readonly #expendable = new Set<string | number>();
  #serial = 0;

  /** `limit`: most signals held, at least 1. */
  constructor(limit: number, onDropped: OnDropped = () => undefined) {
    assert(Number.isInteger(limit) && limit >= 1, 'a mailbox holds at least one signal');
    this.#limit = limit;
    this.#onDropped = onDropped;
  }

  get size(): number {
    return this.#signals.size;
  }

  /** Takes a message in; may drop expendable ones or turn into a gap to stay within the limit. */
  put(message: BusMessage): void {
    const key = subjectOf(message) ?? this.#serial++;
    if (this.#drop(key)) this.#onDropped('conflated', 1);
    if (this.#signals.size >= this.#limit && !this.#makeRoom()) {
      if (isExpendable(message)) this.#onDropped('expendable', 1);
      else this.#overflow();
      return;
    }
    this.#signals.set(key, message);
    if (isExpendable(message)) this.#expendable.add(key);
  }

  /** Messages were lost on the way: forgets all and leaves one gap, since its reader starts afresh anyway. */
  gap(): void {
    this.clear();
    this.#signals.set(this.#serial++, { kind: 'gap' });
  }

  /** The oldest signal, which leaves the mailbox; undefined when there is none. */
  take(): BusSignal | undefined {
    const first = this.#signals.entries().next();
    if (first.done) return undefined;
    this.#drop(first.value[0]);
    return first.value[1];
  }

  clear(): void {
    this.#signals.clear();
    this.#expendable.clear();
  }

  /** All that is held goes, and what was to come in. */
  #overflow(): void {
    const held = [...this.#signals.values()].filter(({ kind }) => kind !== 'gap');
    this.#onDropped('overflow', held.length + 1);
    this.gap();
  }

  #makeRoom(): boolean {
    const oldest = this.#expendable.values().next();
    if (oldest.done) return false;
    this.#drop(oldest.value);
    this.#onDropped('expendable', 1);
    return true;
  }

  #drop(key: string | number): boolean {
    this.#expendable.delete(key);
    return this.#signals.delete(key);
  }
}
