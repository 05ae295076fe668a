/** How far a prompt came, by all that was seen of it in the queue and heard of it over the socket. */
import type { Reached } from './verdict.ts';

export class RunStory {
  #reached: Reached = 'waiting';
  /** The socket has been open since the POST, so that nothing said was missed. */
  #heardAll = false;
  #succeeded = false;

  /** The most that is certain. */
  get reached(): Reached {
    return this.#reached;
  }

  /** It succeeded, and each of its outputs was announced to us. */
  get succeededInFull(): boolean {
    return this.#succeeded;
  }

  /** It is about to be posted. `busy`: other prompts are there. `hears`: its messages will arrive. */
  posted(busy: boolean, hears: boolean): void {
    this.#heardAll = hears;
    if (!busy) this.#reach('maybe-running');
  }

  /** It was seen in the queue. */
  queued(running: boolean, ahead: number): void {
    if (running) this.#reach('running');
    else this.#reach(ahead === 0 ? 'maybe-running' : 'waiting');
  }

  begun(): void {
    this.#reach('running');
  }

  /** The socket opened or closed: something may have been said in between. */
  interrupted(): void {
    this.#heardAll = false;
  }

  /** Its end was announced, before history has it. */
  over(succeeded: boolean): void {
    this.#succeeded ||= succeeded && this.#heardAll;
  }

  /** History can be read. */
  ended(): void {
    this.#reached = 'over';
  }

  #reach(reached: Exclude<Reached, 'over'>): void {
    if (this.#reached === 'waiting' || this.#reached === 'maybe-running') this.#reached = reached;
  }
}
