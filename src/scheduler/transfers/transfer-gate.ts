/**
 * Lets only so many files move at once: from and to one instance, and over the whole gateway, so that a fleet that comes
 * back all at once does not drown the gateway in bytes. Owners (runs) take turns; within one, first come, first served.
 */

export interface TransferLimits {
  readonly perInstance: number;
  readonly overall: number;
}

interface Waiter {
  readonly instanceId: string;
  readonly enter: () => void;
}

export const TRANSFERS_PER_INSTANCE = 4;

export class TransferGate {
  readonly #limits: TransferLimits;
  /** In the order of their turns. */
  readonly #waiting = new Map<string, Waiter[]>();
  readonly #moving = new Map<string, number>();
  #overall = 0;

  constructor(limits: TransferLimits) {
    this.#limits = limits;
  }

  /** Files that move now. */
  get moving(): number {
    return this.#overall;
  }

  /** Does the work when there is room for it; null when the signal, if any, aborts first. */
  pass<T>(instanceId: string, owner: string, work: () => Promise<T>): Promise<T>;
  pass<T>(instanceId: string, owner: string, work: () => Promise<T>, signal: AbortSignal): Promise<T | null>;
  async pass<T>(
    instanceId: string,
    owner: string,
    work: () => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T | null> {
    if (signal?.aborted) return null;
    if (this.#hasRoom(instanceId)) this.#enter(instanceId);
    else if (!(await this.#wait(instanceId, owner, signal))) return null;
    try {
      return await work();
    } finally {
      this.#leave(instanceId);
    }
  }

  /** True once it has entered. */
  #wait(instanceId: string, owner: string, signal: AbortSignal | undefined): Promise<boolean> {
    return new Promise((resolve) => {
      const onAbort = (): void => {
        this.#forget(owner, waiter);
        resolve(false);
      };
      const waiter = {
        instanceId,
        enter: () => {
          signal?.removeEventListener('abort', onAbort);
          this.#enter(instanceId);
          resolve(true);
        },
      };
      const line = this.#waiting.get(owner);
      if (line) line.push(waiter);
      else this.#waiting.set(owner, [waiter]);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #hasRoom(instanceId: string): boolean {
    const { perInstance, overall } = this.#limits;
    return this.#overall < overall && (this.#moving.get(instanceId) ?? 0) < perInstance;
  }

  #enter(instanceId: string): void {
    this.#overall++;
    this.#moving.set(instanceId, (this.#moving.get(instanceId) ?? 0) + 1);
  }

  #leave(instanceId: string): void {
    this.#overall--;
    const left = (this.#moving.get(instanceId) ?? 1) - 1;
    if (left > 0) this.#moving.set(instanceId, left);
    else this.#moving.delete(instanceId);
    this.#admitNext();
  }

  /** The first owner in turn that has a file from an instance with room; it then goes to the end of the line. */
  #admitNext(): void {
    for (const [owner, line] of this.#waiting) {
      const waiter = line.find((one) => this.#hasRoom(one.instanceId));
      if (!waiter) continue;
      this.#forget(owner, waiter);
      const rest = this.#waiting.get(owner);
      if (rest) {
        this.#waiting.delete(owner);
        this.#waiting.set(owner, rest);
      }
      waiter.enter();
      return;
    }
  }

  #forget(owner: string, waiter: Waiter): void {
    const rest = (this.#waiting.get(owner) ?? []).filter((one) => one !== waiter);
    if (rest.length > 0) this.#waiting.set(owner, rest);
    else this.#waiting.delete(owner);
  }
}
