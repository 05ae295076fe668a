/** Runs one scenario against fresh simulators and says where they differ from the recording. */
import { compare, type Difference } from './compare.ts';
import { observeRecording } from './observation.ts';
import { prepare } from './prepare.ts';
import { loadRecording } from './recording.ts';
import { replay } from './replay.ts';
import { rigOptions } from './rig.ts';
import type { Scenario } from './scenarios.ts';
import { startTarget } from './target.ts';
import { leftOut } from './tolerances.ts';

export async function runScenario(scenario: Scenario): Promise<Difference[]> {
  const recording = loadRecording(scenario.name);
  const target = await startTarget(rigOptions(scenario.options ?? {}, recording));
  const second = scenario.second
    ? await startTarget(rigOptions(scenario.second.options, recording))
    : undefined;
  try {
    await prepare(target.simulator.url, recording, target.pace, {
      files: scenario.files ?? [],
      warmUp: scenario.warmUp ?? [],
    });
    const { bodyOf, beforeStep } = scenario;
    const { actual, names } = await replay(recording, {
      pace: target.pace,
      urlFor: (step) => (second && scenario.second?.takes(step) ? second : target).simulator.url,
      alive: () => target.simulator.control.alive(),
      keepsTime: scenario.keepsTime ?? false,
      retimed: scenario.retimed ?? {},
      ...(bodyOf ? { bodyOf: (request, index) => bodyOf(request, index, recording) } : {}),
      ...(beforeStep ? { beforeStep: (step) => beforeStep(step, target) } : {}),
      ...(scenario.timeoutMs ? { timeoutMs: scenario.timeoutMs } : {}),
      ...(scenario.socketLimit ? { socketLimit: scenario.socketLimit } : {}),
    });
    return compare(observeRecording(recording), actual, names, {
      special: scenario.special ?? [],
      ignore: leftOut(scenario.name),
    });
  } finally {
    await target.end();
    await second?.end();
  }
}
