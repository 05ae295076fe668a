/**
 * Learns how long jobs take, from those that succeeded: a moving average for each class of work on each instance, warm and
 * cold apart. Where the work never ran it is reckoned from how it went elsewhere and how fast the instance is beside others;
 * of work that never ran anywhere nothing is known. Pure and bounded: what did not run for longest is forgotten first.
 */
import { RecentMap } from '../../lib/recent-map.ts';
import type { Estimates, Work } from '../planning/estimates.ts';

/** Whether the models were in memory when it began. */
export type Warmth = 'warm' | 'cold';

/** The newest observation counts for so much; the first few for more, as an average of them would have it. */
const ALPHA = 0.2;
/** One that is off by more than this factor (a cached result, a machine that paused) counts as off by this factor. */
const LARGEST_SURPRISE = 3;
const ACQUAINTED = 5;
/** What is known of the work elsewhere counts for so many observations here. */
const PRIOR = 1;
const CLASSES = 2000;
const INSTANCES = 5000;
const PAIRS = 100_000;

class Average {
  value = 0;
  count = 0;

  add(observed: number): void {
    const { value, count } = this;
    const surprising = count >= ACQUAINTED;
    const low = surprising ? value / LARGEST_SURPRISE : 0;
    const high = surprising ? value * LARGEST_SURPRISE : Number.POSITIVE_INFINITY;
    const seen = Math.min(high, Math.max(low, observed));
    this.value += (seen - value) * Math.max(ALPHA, 1 / (count + 1));
    this.count++;
  }
}

class Times {
  readonly warm = new Average();
  readonly cold = new Average();
}

class TimesAnywhere extends Times {
  /** Warm, as on an instance of slowness 1. */
  readonly normal = new Average();
}

export class RunEstimates implements Estimates {
  readonly #here = new RecentMap<string, Times>(PAIRS);
  readonly #anywhere = new RecentMap<string, TimesAnywhere>(CLASSES);
  /** How long work takes on the instance beside what it takes elsewhere. */
  readonly #slowness = new RecentMap<string, Average>(INSTANCES);
  readonly #usual = new Average();

  /** The work succeeded there in so many ms. */
  observe(work: Work, instanceId: string, ms: number, warmth: Warmth): void {
    const anywhere = known(this.#anywhere, classOf(work), () => new TimesAnywhere());
    known(this.#here, pairOf(work, instanceId), () => new Times())[warmth].add(ms);
    anywhere[warmth].add(ms);
    this.#usual.add(ms);
    if (warmth === 'cold') return;
    const slowness = known(this.#slowness, instanceId, () => new Average());
    // the first class that runs anywhere says nothing of its instance
    if (anywhere.normal.count > 0 && anywhere.normal.value > 0) slowness.add(ms / anywhere.normal.value);
    anywhere.normal.add(ms / slownessOf(slowness));
  }

  /** What jobs took of late, whichever they were, in ms; null while none ran. */
  get usualMs(): number | null {
    return this.#usual.count === 0 ? null : this.#usual.value;
  }

  runMs(work: Work, instanceId?: string): number | null {
    const anywhere = this.#anywhere.peek(classOf(work));
    if (!anywhere) return null;
    // as long as it only ran cold it takes no longer than that
    if (anywhere.warm.count === 0) return this.#coldMs(work, anywhere, instanceId);
    if (instanceId === undefined) return anywhere.warm.value;
    const slowness = this.#slowness.peek(instanceId);
    const scaled = anywhere.normal.value * slownessOf(slowness);
    return blended(this.#here.peek(pairOf(work, instanceId))?.warm, scaled);
  }

  loadMs(work: Work, instanceId?: string): number | null {
    const anywhere = this.#anywhere.peek(classOf(work));
    if (!anywhere || anywhere.cold.count === 0 || anywhere.warm.count === 0) return null;
    const average = Math.max(0, anywhere.cold.value - anywhere.warm.value);
    const here = instanceId === undefined ? undefined : this.#here.peek(pairOf(work, instanceId));
    if (!here || here.cold.count === 0) return average;
    const own = Math.max(0, here.cold.value - (this.runMs(work, instanceId) ?? 0));
    return weighed(own, here.cold.count, average);
  }

  #coldMs(work: Work, anywhere: Times, instanceId: string | undefined): number {
    const here = instanceId === undefined ? undefined : this.#here.peek(pairOf(work, instanceId));
    return blended(here?.cold, anywhere.cold.value);
  }
}

function blended(own: Average | undefined, elsewhere: number): number {
  return own ? weighed(own.value, own.count, elsewhere) : elsewhere;
}

function weighed(own: number, count: number, elsewhere: number): number {
  return (own * count + elsewhere * PRIOR) / (count + PRIOR);
}

function slownessOf(average: Average | undefined): number {
  return average && average.count > 0 ? average.value : 1;
}

function known<V>(map: RecentMap<string, V>, key: string, make: () => V): V {
  const value = map.get(key) ?? make();
  map.set(key, value);
  return value;
}

function classOf({ workflow, needsKey }: Work): string {
  return `${workflow}\n${needsKey}`;
}

function pairOf(work: Work, instanceId: string): string {
  return `${classOf(work)}\n${instanceId}`;
}
