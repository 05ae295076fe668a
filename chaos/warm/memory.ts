/** What instances are said to have in memory, beside what they ran since they last lost it. */

/** Times in epoch ms. */
export interface Crash {
  readonly at: number;
  readonly instance: string;
  readonly backAt: number;
}

/** What a replica said at a moment. */
export interface Sample {
  readonly at: number;
  readonly instances: readonly { readonly name: string; readonly loadedModels: readonly string[] }[];
}

export interface Run {
  readonly instance: string;
  readonly model: string;
  readonly startedAt: number;
}

/** For each crash: until when after it its instance was said to have a model that it had not used since, in ms; 0: never. */
export function staleTimes(
  crashes: readonly Crash[],
  samples: readonly Sample[],
  runs: readonly Run[],
): number[] {
  return crashes.map((crash) => {
    const later = crashes.filter(({ instance, at }) => instance === crash.instance && at > crash.at);
    const next = Math.min(Number.POSITIVE_INFINITY, ...later.map(({ at }) => at));
    const mine = runs.filter(
      ({ instance, startedAt }) => instance === crash.instance && startedAt >= crash.at,
    );
    const wrong = samples.filter(({ at, instances }) => {
      const said = instances.find(({ name }) => name === crash.instance)?.loadedModels ?? [];
      const used = (model: string): boolean => mine.some((run) => run.model === model && run.startedAt <= at);
      return at > crash.at && at < next && said.some((model) => !used(model));
    });
    return Math.max(0, ...wrong.map(({ at }) => at - crash.at));
  });
}
