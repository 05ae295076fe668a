/** Holds the fleet to the rule of ejections.ts: who may be put aside, who is used again, and whether that means panic. */

import { ejection, neededBack } from './ejections.ts';
import type { Member } from './member.ts';
import { Panic, type PanicParts, type Source } from './panic.ts';

export interface EjectionCapParts extends PanicParts {
  readonly members: () => readonly Pick<Member, 'standing' | 'needed'>[];
}

export class EjectionCap {
  readonly #members: EjectionCapParts['members'];
  readonly #panic: Panic;

  constructor(parts: EjectionCapParts) {
    this.#members = parts.members;
    this.#panic = new Panic(parts);
  }

  /** Much fails on most instances. */
  get isPanic(): boolean {
    return this.#panic.isOn;
  }

  /** The instance may be put aside for what jobs say of it, of this source the last of them. */
  maySpare(id: string, source: Source): boolean {
    const answer = ejection(this.#standings(), id);
    if (answer === 'refused') this.#panic.seen(source);
    return answer === 'granted';
  }

  /** Something is different in the fleet: those put aside softly may be too many now. */
  review(): void {
    const standings = this.#standings();
    if (!standings.some(({ use }) => use === 'softly aside')) return;
    const needed = new Set(neededBack(standings));
    for (const member of this.#members()) if (needed.has(member.standing.id)) member.needed();
  }

  stop(): void {
    this.#panic.stop();
  }

  #standings() {
    return this.#members().map((member) => member.standing);
  }
}
