/** Why what was not placed waits, as far as it is not its turn. Asked for each class of needs after every plan. */
import type { Needs } from '../../domain/capabilities.ts';
import {
  blockedReason,
  isolationReason,
  retriesReason,
  storageReason,
  tenantReason,
} from './blocked-reason.ts';
import { type Candidate, isAble, takesPart } from './candidate.ts';
import type { Lane } from './lane.ts';
import type { PlanState } from './plan-state.ts';
import type { RecentDispatches } from './retry-budget.ts';

/** What of the state has moved on while the plan was made. */
export interface Afterwards {
  readonly recent: RecentDispatches;
  /** Jobs at work, by tenant. */
  readonly running: ReadonlyMap<string, number>;
}

export class Reasons {
  readonly #state: PlanState;
  readonly #after: Afterwards;
  readonly #needsOf: (needsKey: string) => Needs;
  /** One of all that take part and have the same lists. */
  readonly #samples: readonly Candidate[];
  readonly #ofClass = new Map<string, string | null>();

  constructor(state: PlanState, after: Afterwards, needsOf: (needsKey: string) => Needs) {
    this.#state = state;
    this.#after = after;
    this.#needsOf = needsOf;
    const there = state.candidates.filter(takesPart);
    this.#samples = [...new Map(there.map((candidate) => [candidate.inventory, candidate])).values()];
  }

  /** Of a lane; null when it merely waits its turn. */
  ofLane(lane: Lane): string | null {
    return this.#ofAnyOwner(lane) ?? this.#ofOwner(lane);
  }

  /** Why a lane may not go, whatever is free. */
  holding(lane: Lane): string | null {
    return this.#held(lane) ?? this.#ofOwner(lane);
  }

  /**
   * Of a class, of which these lanes have a job waiting: a reason only when all of them have one. All tenants read it, so it
   * says nothing of what one of them may: the picture of the queue tells that to each alone.
   */
  ofClass(needsKey: string, lanes: Iterable<Lane>): string | null {
    const whole = this.ofWholeClass(needsKey);
    if (whole !== null) return whole;
    const reasons = new Set<string>();
    for (const lane of lanes) {
      const reason = this.#ofAnyOwner(lane);
      if (reason === null) return null;
      reasons.add(reason);
    }
    return [...reasons].sort().join('; ');
  }

  /** Why no job of the class can start anywhere. */
  ofWholeClass(needsKey: string): string | null {
    // the same for every class when nobody takes part
    const key = this.#samples.length === 0 ? '' : needsKey;
    const known = this.#ofClass.get(key);
    if (known !== undefined) return known;
    const needs = this.#needsOf(needsKey);
    const isRunnable = this.#samples.some((candidate) => isAble(candidate, needs));
    const reason = isRunnable ? null : blockedReason(needs, this.#state.candidates);
    this.#ofClass.set(key, reason);
    return reason;
  }

  #ofAnyOwner(lane: Lane): string | null {
    return (
      this.ofWholeClass(lane.needsKey) ??
      this.#held(lane) ??
      isolationReason(lane, this.#needsOf(lane.needsKey), this.#state.candidates)
    );
  }

  #held(lane: Lane): string | null {
    const { storageAway, retryBudgetPercent } = this.#state;
    return storageReason(lane, storageAway) ?? retriesReason(lane, this.#after.recent, retryBudgetPercent);
  }

  #ofOwner({ tenant }: Lane): string | null {
    return tenantReason(this.#after.running.get(tenant) ?? 0, this.#state.limitsOf(tenant).maxRunning);
  }
}
