/** Nodes made for measuring and breaking: they exist to reach every corner of the protocol on purpose. */
import {
  ExecutionBlocker,
  images,
  type NodeCall,
  type NodeClass,
  type NodeResult,
  num,
  str,
} from '../node-class.ts';
import { jpeg, noise, type Picture, plain } from '../pictures.ts';
import { encodePng } from '../png-text.ts';
import { PythonError, trace } from '../python-error.ts';
import { INFINITY, type Json, NAN } from '../python-json.ts';

const SALT = ['INT', { default: 0, min: 0, max: 9007199254740992 }] as const;
const SECONDS = ['FLOAT', { default: 1, min: 0, max: 600, step: 0.01 }] as const;
const GREY = plain(64, 64, 0x484848);

function rig(name: string, node: Omit<NodeClass, 'name' | 'category' | 'pythonModule'>): NodeClass {
  return { name, category: 'rig', pythonModule: 'custom_nodes.rig_nodes', ...node };
}

/** A bar that grows with the progress. */
async function bar(progress: number, format: string): Promise<{ format: 'JPEG' | 'PNG'; bytes: Buffer }> {
  const picture: Picture = { ...GREY, data: Buffer.from(GREY.data) };
  for (let y = 0; y < picture.height; y += 1) {
    const start = y * picture.width * 3;
    picture.data.fill(200, start, start + Math.round(picture.width * progress) * 3);
  }
  if (format === 'PNG') return { format: 'PNG', bytes: await encodePng(picture) };
  return { format: 'JPEG', bytes: await jpeg(picture, 512, 512) };
}

async function sleepInSteps(call: NodeCall): Promise<NodeResult> {
  const { inputs } = call;
  const steps = num(inputs.steps);
  const preview = str(inputs.preview);
  for (let step = 1; step <= steps; step += 1) {
    await call.sleep((num(inputs.seconds) * 1000) / steps);
    await call.progress(step, steps, preview === 'none' ? undefined : await bar(step / steps, preview));
  }
  return { outputs: [inputs.image ?? images([GREY])] };
}

function raise(call: NodeCall): NodeResult {
  const kind = str(call.inputs.kind);
  const message = str(call.inputs.message);
  if (kind === 'OOM') {
    throw new PythonError('torch.OutOfMemoryError', message, [
      trace('custom_nodes/rig_nodes.py', 108, 'run'),
    ]);
  }
  const shown = kind === 'KeyError' ? `'${message}'` : message;
  throw new PythonError(kind, shown, [trace('custom_nodes/rig_nodes.py', 109, 'run')]);
}

/** Two made nodes: one that sleeps, one that inverts it or fails. */
function expand({ nodeId, inputs }: NodeCall): NodeResult {
  const [first, second] = [`${nodeId}.0.0.1`, `${nodeId}.0.0.2`];
  const salt = num(inputs.salt);
  const sleep = {
    class_type: 'RigSleep',
    inputs: { seconds: num(inputs.seconds), steps: 2, preview: 'JPEG', salt },
  };
  const failing: Json = { kind: 'ValueError', message: 'inside', salt, image: [first, 0] };
  const last =
    inputs.fail === true
      ? { class_type: 'RigRaise', inputs: failing }
      : { class_type: 'ImageInvert', inputs: { image: [first, 0] } };
  return { expand: { graph: { [first]: sleep, [second]: last }, result: [[second, 0]] } };
}

function expandLoop({ nodeId }: NodeCall): NodeResult {
  const [first, second] = [`${nodeId}.0.0.1`, `${nodeId}.0.0.2`];
  const invert = (from: string): { class_type: string; inputs: { image: Json } } => ({
    class_type: 'ImageInvert',
    inputs: { image: [from, 0] },
  });
  return { expand: { graph: { [first]: invert(second), [second]: invert(first) }, result: [[second, 0]] } };
}

async function noiseBatch({ inputs }: NodeCall): Promise<NodeResult> {
  const pictures: Picture[] = [];
  for (let index = 0; index < num(inputs.batch); index += 1) {
    pictures.push(noise(num(inputs.width), num(inputs.height), `${num(inputs.salt)}:${index}`));
  }
  return { outputs: [images(pictures)] };
}

async function mixed(call: NodeCall): Promise<NodeResult> {
  const bytes = await encodePng(plain(32, 32, 0x484848));
  const saved = [];
  for (const type of ['output', 'temp'] as const) {
    saved.push(
      await call.save({
        type,
        prefix: `rig_mixed_${num(call.inputs.salt)}_${type}`,
        extension: 'png',
        bytes,
        exactName: true,
      }),
    );
  }
  return { ui: { images: saved, text: ['mixed'], rig_custom: [{ answer: 42 }], numbers: [1, 2.5] } };
}

const SIDE = ['INT', { default: 64, min: 1, max: 16384 }] as const;

export const RIG_NODES: readonly NodeClass[] = [
  rig('RigSleep', {
    required: {
      seconds: SECONDS,
      steps: ['INT', { default: 5, min: 1, max: 10000 }],
      preview: [['none', 'JPEG', 'PNG'], { default: 'JPEG' }],
      salt: SALT,
    },
    optional: { image: ['IMAGE'] },
    outputs: ['IMAGE'],
    run: sleepInSteps,
  }),
  rig('RigNoise', {
    required: { width: SIDE, height: SIDE, batch: ['INT', { default: 1, min: 1, max: 64 }], salt: SALT },
    outputs: ['IMAGE'],
    run: noiseBatch,
  }),
  rig('RigText', {
    required: { text: ['STRING', { default: '', multiline: true }] },
    outputs: ['STRING'],
    isOutput: true,
    run: ({ inputs }) => ({ ui: { text: [str(inputs.text)] }, outputs: [str(inputs.text)] }),
  }),
  rig('RigRaise', {
    required: {
      kind: [['ValueError', 'RuntimeError', 'KeyError', 'OOM']],
      message: ['STRING', { default: 'rig failure' }],
      salt: SALT,
    },
    optional: { image: ['IMAGE'] },
    outputs: ['IMAGE'],
    run: raise,
  }),
  rig('RigBlock', {
    required: { message: ['STRING', { default: '' }], salt: SALT },
    outputs: ['IMAGE'],
    run: ({ inputs }) => ({ outputs: [new ExecutionBlocker(str(inputs.message) || null)] }),
  }),
  rig('RigSilentOutput', { required: { image: ['IMAGE'] }, outputs: [], isOutput: true, run: () => ({}) }),
  rig('RigExpand', {
    required: { seconds: SECONDS, salt: SALT, fail: ['BOOLEAN', { default: false }] },
    outputs: ['IMAGE'],
    run: expand,
  }),
  rig('RigExpandLoop', { required: { salt: SALT }, outputs: ['IMAGE'], run: expandLoop }),
  rig('RigAsyncSleep', {
    required: { seconds: SECONDS, salt: SALT },
    outputs: ['IMAGE'],
    isAsync: true,
    run: async (call) => {
      await call.sleep(num(call.inputs.seconds) * 1000);
      return { outputs: [images([GREY])] };
    },
  }),
  rig('RigProgressText', {
    required: { text: ['STRING', { default: '' }], salt: SALT },
    outputs: ['IMAGE'],
    run: (call) => {
      call.sendText(str(call.inputs.text));
      return { outputs: [images([GREY])] };
    },
  }),
  rig('RigBlockingSleep', {
    required: { seconds: SECONDS, salt: SALT },
    outputs: ['IMAGE'],
    run: async (call) => {
      await call.sleep(num(call.inputs.seconds) * 1000);
      return { outputs: [images([GREY])] };
    },
  }),
  rig('RigBlockingSleepOutput', {
    required: { seconds: SECONDS, salt: SALT },
    outputs: [],
    isOutput: true,
    run: async (call) => {
      await call.sleep(num(call.inputs.seconds) * 1000);
      return { ui: { text: ['slept'] } };
    },
  }),
  rig('RigValueAsNaN', {
    required: { salt: SALT },
    outputs: [],
    isOutput: true,
    run: () => ({ ui: { score: [NAN, INFINITY] } }),
  }),
  // A bigint stands for the tensor: JSON.stringify raises on it, as json.dumps does.
  rig('RigUnserializable', {
    required: { salt: SALT },
    outputs: [],
    isOutput: true,
    run: () => ({ ui: { tensor: [1n] } }),
  }),
  rig('RigMixedOutputs', { required: { salt: SALT }, outputs: [], isOutput: true, run: mixed }),
];
