/**
 * What one run may bring: so many outputs, so many bytes of files, of text, and of pictures that wait in memory to be
 * stored. A hostile or broken workflow ends with a fault, not with a gateway that has no memory or disk left.
 */

export interface BudgetLimits {
  readonly outputs: number;
  readonly fileBytes: number;
  readonly textBytes: number;
  /** Pictures that came over the socket have no other home than our memory until they are stored. */
  readonly heldBytes: number;
}

export const RUN_LIMITS = {
  outputs: 10_000,
  textBytes: 16 * 1024 * 1024,
  heldBytes: 256 * 1024 * 1024,
} as const;

export type BudgetKind = keyof BudgetLimits;

export class OutputBudget {
  readonly #limits: BudgetLimits;
  readonly #used: Record<BudgetKind, number> = { outputs: 0, fileBytes: 0, textBytes: 0, heldBytes: 0 };
  #problem: string | null = null;

  constructor(limits: BudgetLimits) {
    this.#limits = limits;
  }

  /** What was too much, for the user; null while all is within bounds. */
  get problem(): string | null {
    return this.#problem;
  }

  /** False, and nothing taken, when it is too much. */
  take(kind: BudgetKind, amount: number): boolean {
    if (this.#used[kind] + amount > this.#limits[kind]) {
      this.#problem ??= `${WORDS[kind]} ${this.#limits[kind]}`;
      return false;
    }
    this.#used[kind] += amount;
    return true;
  }

  giveBack(kind: BudgetKind, amount: number): void {
    this.#used[kind] -= amount;
  }
}

const WORDS: Readonly<Record<BudgetKind, string>> = {
  outputs: 'the job has more outputs than',
  fileBytes: 'the output files of the job have together more bytes than',
  textBytes: 'the output texts of the job have together more bytes than',
  heldBytes: 'the pictures sent by the instance have together more bytes than',
};
