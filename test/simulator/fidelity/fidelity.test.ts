/**
 * The simulator against a real ComfyUI: every recorded scenario is repeated and compared by value. What is tolerated is
 * in tolerances.ts, what is different on purpose in src/simulator/DIFFERENCES.md, what is not covered below.
 */
import { describe, expect, test } from 'vitest';
import { recordingNames } from './recording.ts';
import { runScenario } from './run-scenario.ts';
import { SCENARIOS } from './scenarios.ts';
import { SCRIPTED } from './scripted.ts';

/** Recordings without a scenario here, and why. */
const NOT_COVERED: Readonly<Record<string, string>> = {
  http_keepalive: 'measures only that an idle connection is still open after 100 s: a matter of waiting',
  timing_while_busy: 'latencies of a server whose cores are all busy; the simulator does not compute',
};

describe('a replay of the recording', () => {
  for (const scenario of SCENARIOS) {
    test(`${scenario.name}: ${scenario.shows}`, async () => {
      expect(await runScenario(scenario)).toEqual([]);
    });
  }
});

describe('what a recording of counts claims', () => {
  for (const { name, shows, run } of SCRIPTED) {
    test(`${name}: ${shows}`, () => run());
  }
});

describe('the suite', () => {
  const covered = [...SCENARIOS, ...SCRIPTED].map(({ name }) => name);

  test('covers at least 45 of the 54 recordings', () => {
    expect(recordingNames()).toHaveLength(54);
    expect(new Set(covered).size).toBeGreaterThanOrEqual(45);
  });

  test('covers every recording once or says why not', () => {
    expect([...covered, ...Object.keys(NOT_COVERED)].sort()).toEqual(recordingNames());
  });
});
