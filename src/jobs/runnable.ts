/**
 * Could any instance, healthy or not, ever run this? A submission is refused only when every instance has said what it
 * has and none has enough; an empty fleet, or one list that is not read yet, accepts and waits.
 */
import { missingFrom, type Needs } from '../domain/capabilities.ts';
import type { EquippedInstance } from '../store/inventories.ts';

export interface Shortage {
  /** What no instance has; where each thing is somewhere, but nowhere all of them, what the closest instance lacks. */
  readonly missing: Needs;
  /** Name of the instance that lacks least, when each thing is somewhere. */
  readonly closest: string | null;
}

/** Null when some instance can run it or may turn out to. */
export function shortageOf(needs: Needs, fleet: readonly EquippedInstance[]): Shortage | null {
  if (fleet.length === 0) return null;
  const lacking = fleet.map(({ instance, inventory }) => ({
    name: instance.name,
    missing: missingFrom(needs, inventory),
  }));
  if (lacking.some(({ missing }) => sizeOf(missing) === 0)) return null;
  const nowhere = missingEverywhere(
    needs,
    lacking.map(({ missing }) => missing),
  );
  if (sizeOf(nowhere) > 0) return { missing: nowhere, closest: null };
  const least = lacking.reduce((best, one) => (sizeOf(one.missing) < sizeOf(best.missing) ? one : best));
  return { missing: least.missing, closest: least.name };
}

/** What is in each of the lists of missing things; nothing when there are no lists. */
export function missingEverywhere(needs: Needs, lists: readonly Needs[]): Needs {
  const inAll = (what: 'nodeTypes' | 'models'): readonly string[] => {
    const sets = lists.map((missing) => new Set(missing[what]));
    return sets.length === 0 ? [] : needs[what].filter((name) => sets.every((set) => set.has(name)));
  };
  return { nodeTypes: inAll('nodeTypes'), models: inAll('models') };
}

/** The first model file of a folder that the fleet is known to have, in the order its instances list it. */
export function firstModel(fleet: readonly EquippedInstance[], folder: string): string | null {
  for (const { inventory } of fleet) {
    const found = inventory?.models.find((model) => model.kind === folder);
    if (found) return found.name;
  }
  return null;
}

function sizeOf(needs: Needs): number {
  return needs.nodeTypes.length + needs.models.length;
}
