/**
 * For every crash point: what a client does that brings the gateway there, and what must be true after the next start.
 * `crashAndCheck` carries one out; it can be repeated on one scene as often as wanted.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { type CrashPoint, parseCrashPlan } from '../../src/domain/crash-points.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import {
  answered,
  type Expected,
  fulfilled,
  hurry,
  idle,
  jobOf,
  jobsOf,
  type Order,
  place,
  placeLong,
  repeat,
} from './crash-orders.ts';
import type { CrashScene } from './crash-scene.ts';
import { eventually } from './eventually.ts';
import { act, ended, findJob, jobThat } from './jobs.ts';

/** Brings the gateway to its crash point; answers what is to be looked at after the next start. */
type Drill = (scene: CrashScene) => Promise<Check>;
type Check = () => Promise<void>;

/**
 * Crashes at the point (`label` or `label:n`), starts again and looks. The next life is armed with `next`, if given: it
 * must not come by that point while it recovers.
 */
export async function crashAndCheck(scene: CrashScene, crashAt: string, next?: string): Promise<void> {
  const point = parseCrashPlan(crashAt)?.point;
  assert(point, `${crashAt} is known`);
  const armed = armingOf(crashAt);
  if (!scene.gateway.running || scene.armedAt !== armed) {
    await scene.kill();
    await scene.start(armed);
  }
  const check = await DRILLS[point](scene);
  await scene.died();
  await scene.start(next && armingOf(next));
  await check();
}

/** A life that is to end while it starts cannot be the one before too. */
const armingOf = (crashAt: string): string | undefined =>
  /^(adopt:claimed|fold:)/.test(crashAt) ? undefined : crashAt;

/** Every label is in the list of its own drill: a new one without a drill is an error of types. */
const DRILLS: Readonly<Record<CrashPoint, Drill>> = {
  'upload:stored': abandonPicture,
  'upload:kept': submitPicture,
  'queue:before-commit': submitUnanswered(0),
  'queue:after-commit': submitUnanswered(1),
  'queue:announced': submitUnanswered(1),

  'assign:before-commit': run,
  'assign:after-commit': run,
  'input:handed-over': submitPicture,
  'post:ready': run,
  'post:sent': run,
  'post:partly-accepted': runPartly,
  'post:accepted': run,

  'running:before-commit': run,
  'running:after-commit': run,
  'end:seen': run,
  'collecting:before-commit': run,
  'collecting:after-commit': run,
  'output:receiving': runLarge,
  'output:stored': run,
  'output:before-commit': run,
  'output:after-commit': run,

  'complete:before-commit': run,
  'complete:after-commit': run,
  'complete:announced': run,
  'fail:before-commit': runIntoError,
  'fail:after-commit': runIntoRetry,
  'lose:before-commit': runOnForgetful,
  'lose:after-commit': runOnForgetful,

  'cancel:before-commit': cancel('PROCESSING'),
  'cancel:after-commit': cancel('CANCELED'),
  'release:done': cancel('CANCELED'),
  'close-canceled:before-commit': cancel('CANCELED'),
  'close-canceled:after-commit': cancel('CANCELED'),
  'expire:before-commit': waitTooLong,
  'expire:after-commit': waitTooLong,
  'remove:before-commit': remove('there'),
  'remove:after-commit': remove('gone'),
  'clean-up:file-removed': remove('gone'),

  'fold:before-commit': countTwice('fold:before-commit'),
  'fold:after-commit': countTwice('fold:after-commit'),

  'adopt:claimed': startTwice,
  'sweep:found': leaveBehind,
  'sweep:removed': leaveBehind,
  'stop:begun': stop,
  'stop:let-go': stop,
};

/** A noisy picture, which hardly compresses: three bytes for a pixel. */
const noise = (salt: number, side = 256): JsonObject => ({
  '1': { class_type: 'RigNoise', inputs: { width: side, height: side, batch: 1, salt } },
  '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'noise' } },
});

const submitNoise = (scene: CrashScene, extra: JsonObject = {}): Promise<Order> =>
  place(scene, 'submitJob', { graph: noise(scene.next()), ...extra });

/** Its picture has three megabytes: too many to be held in memory, so that a half-written file stays behind. */
async function runLarge(scene: CrashScene): Promise<Check> {
  const order = await place(scene, 'submitJob', { graph: noise(scene.next(), 1024) });
  return async () => void (await fulfilled(scene, order));
}

/** Whoever was answered finds the job done without another word; whoever was not asks again. */
async function run(scene: CrashScene): Promise<Check> {
  const order = await submitNoise(scene);
  return async () => void (await fulfilled(scene, order));
}

/** A picture that nobody sent before. */
function picture(scene: CrashScene): Promise<Buffer> {
  const background = { r: scene.next() % 256, g: scene.next() % 256, b: 0 };
  return sharp({ create: { width: 16, height: 16, channels: 3, background } })
    .png()
    .toBuffer();
}

async function submitPicture(scene: CrashScene): Promise<Check> {
  return withPicture(scene, await picture(scene));
}

async function withPicture(scene: CrashScene, bytes: Buffer): Promise<Check> {
  const image = { dataUri: `data:image/png;base64,${bytes.toString('base64')}` };
  const order = await place(scene, 'upscaleImage', { image });
  return async () => void (await fulfilled(scene, order));
}

/** The client comes back after the file it left behind was swept away. */
async function abandonPicture(scene: CrashScene): Promise<Check> {
  const bytes = await picture(scene);
  const check = await withPicture(scene, bytes);
  return async () => {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    assert(await scene.isStored(sha256));
    await scene.age(sha256);
    await eventually(async () => !(await scene.isStored(sha256)), { what: 'the orphan is removed' });
    await check();
  };
}

/** `made`: jobs that are there before the client asks again. */
function submitUnanswered(made: 0 | 1): Drill {
  return async (scene) => {
    const order = await submitNoise(scene);
    assert.equal(order.id, null);
    return async () => {
      const [id, ...more] = await jobsOf(scene, order);
      assert.equal(more.length, 0);
      assert.equal(id === undefined ? 0 : 1, made);
      // nobody tells of it: it is found in the rows
      if (id !== undefined) assert.equal((await ended(scene.client, id)).status, 'COMPLETED');
      assert.equal(await repeat(scene, order), id ?? order.id);
      await fulfilled(scene, order);
    };
  };
}

/** One of its two outputs is refused by the instance, which takes the rest: that is not what was asked for. */
async function runPartly(scene: CrashScene): Promise<Check> {
  const graph = {
    ...noise(scene.next()),
    '3': { class_type: 'RigSleep', inputs: { seconds: 9999, steps: 1, preview: 'none', salt: 1 } },
    '4': { class_type: 'SaveImage', inputs: { images: ['3', 0], filename_prefix: 'never' } },
  };
  const order = await place(scene, 'submitJob', { graph });
  return async () => {
    const expected: Expected = { status: 'FAILED', code: 'NODE_ERRORS' };
    await fulfilled(scene, order, expected);
  };
}

async function runIntoError(scene: CrashScene): Promise<Check> {
  const inputs = { kind: 'ValueError', message: 'it cannot be', salt: scene.next() };
  const graph = { ...noise(1), '1': { class_type: 'RigRaise', inputs } };
  const order = await place(scene, 'submitJob', { graph, maxAttempts: 1 });
  return async () => void (await fulfilled(scene, order, { status: 'FAILED', code: 'NODE_FAILED' }));
}

async function runIntoRetry(scene: CrashScene): Promise<Check> {
  scene.instance.control.setFaults({ refusePrompts: 500 });
  const order = await submitNoise(scene);
  await scene.died();
  scene.instance.control.clearFaults();
  return async () => {
    const { attempts } = await fulfilled(scene, order);
    assert.deepEqual(
      attempts.map(({ outcome }) => outcome),
      ['FAILED', 'SUCCEEDED'],
    );
  };
}

/** The instance starts anew in the middle of a run: the job runs once more. */
async function runOnForgetful(scene: CrashScene): Promise<Check> {
  const order = await placeLong(scene);
  await scene.instance.control.restart();
  await scene.died();
  hurry(scene);
  return async () => {
    const { attempts } = await fulfilled(scene, order, { runs: 2 });
    assert.deepEqual(
      attempts.map(({ outcome }) => outcome),
      ['LOST', 'SUCCEEDED'],
    );
  };
}

/** Canceled while it runs; `found`: its status after the next start. */
function cancel(found: 'PROCESSING' | 'CANCELED'): Drill {
  return async (scene) => {
    const order = await placeLong(scene);
    await answered(act(scene.client, 'cancelJob', order.id));
    return async () => {
      assert.equal((await jobOf(scene, order)).status, found);
      if (found === 'PROCESSING') await act(scene.client, 'cancelJob', order.id);
      await fulfilled(scene, order, { status: 'CANCELED' });
      await idle(scene);
      assert.deepEqual(
        scene.runsOf(await jobOf(scene, order)).map(({ outcome }) => outcome),
        ['interrupted'],
      );
    };
  };
}

/** No instance is there while it waits. */
async function waitTooLong(scene: CrashScene): Promise<Check> {
  await scene.instance.control.crash();
  const order = await submitNoise(scene, { deadlineMs: 300 });
  await scene.died();
  await scene.instance.control.restart();
  return async () => {
    await fulfilled(scene, order, { status: 'FAILED', runs: 0, code: 'DEADLINE_EXCEEDED' });
  };
}

/** A job is deleted; `found`: what it is after the next start. */
function remove(found: 'there' | 'gone'): Drill {
  return async (scene) => {
    const order = await submitNoise(scene);
    const id = order.id ?? '';
    const { outputs } = await ended(scene.client, id);
    scene.forget(id);
    await answered(act(scene.client, 'deleteJob', id));
    return async () => {
      assert.equal((await findJob(scene.client, id)) ? 'there' : 'gone', found);
      if (found === 'there') await act(scene.client, 'deleteJob', id);
      assert.equal(await findJob(scene.client, id), null);
      for (const { sha256 = '' } of outputs) {
        await eventually(async () => !(await scene.isStored(sha256)), { what: 'its file is removed' });
      }
    };
  };
}

/** Killed with a job whose facts are in no figure yet, and again while the next life folds them. */
function countTwice(point: CrashPoint): Drill {
  return async (scene) => {
    const order = await submitNoise(scene);
    await scene.kill();
    scene.launch(point);
    await scene.died();
    return async () => void (await fulfilled(scene, order));
  };
}

/** Killed while a job runs, and again while the next life takes the job over. */
async function startTwice(scene: CrashScene): Promise<Check> {
  const order = await placeLong(scene);
  await scene.kill();
  scene.launch('adopt:claimed');
  await scene.died();
  return async () => {
    await jobThat(scene.client, order.id, ({ progress }) => progress.step !== null);
    hurry(scene);
    assert.equal((await fulfilled(scene, order)).attempts.length, 1);
  };
}

/** An instance that was given up comes back and still runs the job. */
async function leaveBehind(scene: CrashScene): Promise<Check> {
  const { control } = scene.instance;
  const order = await placeLong(scene);
  control.freeze();
  await eventually(async () => (await jobOf(scene, order)).attempts[0]?.outcome === 'LOST', {
    what: 'the attempt is lost',
  });
  control.thaw();
  await scene.died();
  return async () => {
    const [first] = scene.runsOf(await jobOf(scene, order));
    await eventually(() => first?.outcome !== 'running', { what: 'the first run is swept away' });
    hurry(scene);
    const job = await fulfilled(scene, order, { runs: 2 });
    assert.deepEqual(
      scene.runsOf(job).map(({ outcome }) => outcome),
      ['interrupted', 'success'],
    );
  };
}

/** Asked to stop while a job runs. */
async function stop(scene: CrashScene): Promise<Check> {
  const order = await placeLong(scene);
  scene.gateway.signal('SIGTERM');
  return async () => {
    hurry(scene);
    assert.equal((await fulfilled(scene, order)).attempts.length, 1);
  };
}
