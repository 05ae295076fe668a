/**
 * The gateway as a process that is killed at every crash point, one after the other, on one data folder: each start has to
 * mend what the last crash left. In this order no life comes by its own crash point while it mends, so that the same
 * start that recovers is ready for the next crash; where there is no such order, a new line of lives begins.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../chaos/compile.ts';
import { Ground } from '../../chaos/processes.ts';
import { CRASH_POINTS, parseCrashPlan } from '../../src/domain/crash-points.ts';
import { crashAndCheck } from '../support/crash-drills.ts';
import { CrashScene } from '../support/crash-scene.ts';

type Line = readonly (readonly [crashAt: string, promise: string])[];

const TAKING_IN: readonly Line[] = [
  [
    ['fold:before-commit', 'figures whose addition was not committed are added up by the next start'],
    ['queue:before-commit', 'a submit that was not committed makes one job when it is repeated (F1)'],
    ['remove:before-commit', 'a job whose deletion was not committed is there, and can be deleted'],
    ['fold:after-commit', 'figures that were added up are not added again'],
    ['queue:announced', 'a submit whose answer is lost is the same job when it is repeated (F1)'],
    ['upload:kept', 'a submit that kept its picture but made no job makes one when it is repeated (F1)'],
    ['remove:after-commit', 'files of a deleted job are removed by the next start'],
    [
      'queue:after-commit',
      'a job that nobody told of is found in the rows, and is one when repeated (F1, F2)',
    ],
    ['upload:stored', 'a picture that no row names yet comes again with the submit (F1)'],
    ['clean-up:file-removed', 'a file that is gone already stops no clean-up'],
    ['assign:before-commit', 'a job that was about to get a place waits, and gets one (F2)'],
    ['cancel:before-commit', 'a cancel that was not committed did not happen, and works when repeated'],
    [
      'assign:after-commit',
      'an attempt whose prompt was never posted is given up, and the job runs once (F3)',
    ],
    ['cancel:after-commit', 'a canceled job stays canceled, and its prompt leaves the instance (F8)'],
    ['input:handed-over', 'files that reached the instance before the crash do no harm (F3)'],
    ['release:done', 'a place whose prompt is gone already becomes free (F8)'],
    ['post:ready', 'a prompt that was about to be posted is posted once (F3)'],
    ['close-canceled:before-commit', 'a place that was about to become free becomes free (F8)'],
    ['output:receiving', 'an output of which the first bytes had come is fetched again (F6)'],
    ['close-canceled:after-commit', 'a place that became free is free (F8)'],
    ['output:receiving:20', 'an output of which a part had come is fetched again (F6)'],
    ['expire:before-commit', 'a deadline that passed while the gateway was away fails the job'],
    ['output:receiving:36', 'an output of which most had come is fetched again (F6)'],
    ['expire:after-commit', 'a job that failed at its deadline stays failed, with one end'],
    ['output:stored', 'an output that no row names yet is recorded once (F6)'],
    ['stop:begun', 'a stop that is cut short hands its run over all the same (F5, F9)'],
  ],
];

const RUNNING: readonly Line[] = [
  [
    ['complete:announced', 'a job is completed once, whoever was told and whoever was not (F7)'],
    ['complete:after-commit', 'the end that nobody was told of is told once to who comes back (F7)'],
    ['complete:before-commit', 'an end that was not committed is found again in the history (F7)'],
    ['output:after-commit', 'an output that is recorded is not fetched again (F6)'],
    ['output:before-commit', 'an output whose row was not committed is recorded once (F6)'],
    ['running:after-commit', 'a run goes on, and is followed to its end (F5)'],
    ['running:before-commit', 'a run that no row knows of is found by its id (F4, F5)'],
    ['post:accepted', 'a prompt that was taken is adopted, and never posted again (F4)'],
    ['post:sent', 'a prompt on its way runs once, whether it arrived or not (F4)'],
    ['fail:after-commit', 'a failure that is to be tried again is tried again'],
    ['lose:after-commit', 'a loss that nobody was told of puts the job back all the same'],
    ['sweep:found', 'a forgotten prompt that was found is removed by the next start (F8)'],
    ['adopt:claimed', 'a crash within a start leaves the run to the next start (F5)'],
    ['sweep:removed', 'a forgotten prompt is removed, and its job runs on its own (F8)'],
    ['stop:let-go', 'a stop that never gave the lead back does not hold up the next start (F5, F9)'],
    ['lose:before-commit', 'a job that its instance forgot runs once more'],
  ],
  [
    ['end:seen', 'an end that was seen is seen again (F6)'],
    ['fail:before-commit', 'a failure that was not committed fails the job once'],
    ['collecting:before-commit', 'a run whose results were about to be fetched is completed (F6)'],
    ['post:partly-accepted', 'a prompt that was taken in part is not passed off as the whole (F4, F19)'],
  ],
  [['collecting:after-commit', 'a run whose results were being fetched is completed (F6)']],
];

let ground: Ground;
beforeAll(async () => {
  ground = new Ground(await mkdtemp(join(tmpdir(), 'comfyfleet-crash-')), await compile());
}, 60_000);
afterAll(() => ground?.end());

function followLines(name: string, lines: readonly Line[]): void {
  let scene: CrashScene;
  beforeAll(async () => {
    scene = await CrashScene.open(ground, name);
  });
  afterAll(() => scene?.close());

  for (const line of lines) {
    for (const [index, [crashAt, promise]] of line.entries()) {
      const next = line[index + 1]?.[0];
      it.sequential(`${crashAt}: ${promise}`, () => crashAndCheck(scene, crashAt, next), 120_000);
    }
  }

  it.sequential('leaves a history in which every promise is kept, and no file that nobody names', async () => {
    expect(await scene.staged()).toEqual([]);
    await scene.judge();
  }, 60_000);
}

// two lines of lives side by side: most of a life is waiting
describe.concurrent('a gateway that crashes while it takes jobs in and lets them go', () => {
  followLines('taking-in', TAKING_IN);
});
describe.concurrent('a gateway that crashes while it runs jobs', () => followLines('running', RUNNING));

it('does not start when it is to crash at a point that is none', async () => {
  const gateway = await ground.gateway([], { CRASH_AT: 'nowhere' }, 'nowhere');
  gateway.launch();
  expect(await gateway.ended()).toBe(2);
  expect(gateway.log()).toContain(`CRASH_AT: "nowhere" is none of ${CRASH_POINTS.join(', ')}`);
}, 60_000);

it('crashes at every point there is', () => {
  const reached = [...TAKING_IN, ...RUNNING].flat().map(([crashAt]) => parseCrashPlan(crashAt)?.point);
  expect([...new Set(reached)].sort()).toEqual([...CRASH_POINTS].sort());
});
