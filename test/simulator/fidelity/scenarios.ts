/** The recorded scenarios that are replayed as they are: what each shows, and what it needs beyond the recording. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SimulatorOptions } from '../../../src/simulator/simulator.ts';
import { completeBase64Prompt, completeLongText, completeVariant } from './bodies.ts';
import type { UploadedFile } from './prepare.ts';
import type { RecordedRequest, Recording } from './recording.ts';
import type { Target } from './target.ts';
import type { Step } from './timeline.ts';
import type { SpecialTolerance } from './tolerances.ts';

export interface Scenario {
  /** The name of the recording. */
  readonly name: string;
  /** What it shows, as the title of its test. */
  readonly shows: string;
  readonly options?: SimulatorOptions;
  /** A second instance, and which steps of the recording went to it. */
  readonly second?: { readonly options: SimulatorOptions; readonly takes: (step: Step) => boolean };
  readonly keepsTime?: boolean;
  readonly retimed?: Readonly<Record<number, number>>;
  readonly files?: readonly UploadedFile[];
  readonly warmUp?: readonly string[];
  readonly special?: readonly SpecialTolerance[];
  readonly bodyOf?: (
    request: RecordedRequest,
    index: number,
    recording: Recording,
  ) => Buffer | string | undefined;
  readonly timeoutMs?: (request: RecordedRequest) => number;
  readonly beforeStep?: (step: Step, target: Target) => Promise<void> | void;
  readonly socketLimit?: (client: string) => number | undefined;
}

const MIB = 1024 * 1024;
/** The picture of the rig: 40x30, with alpha. */
const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAACgAAAAeCAYAAABe3VzdAAAAQElEQVR4nO3OMQGAIAAAQWQkhFmNZywiMNygw1+Cu9Z7P+PH5teBk4KqoCqoCqqCqqAqqAqqgqqgKqgKqoKqoNplwQGs9kvjGgAAAABJRU5ErkJggg==',
  'base64',
);

export const SCENARIOS: readonly Scenario[] = [
  { name: 'async_and_text_frames', shows: 'coroutine nodes run side by side, and a text frame arrives' },
  {
    name: 'bad_client_id',
    shows: 'a client_id that is a list is accepted and then ends the whole process',
  },
  {
    name: 'cache_none_repeat',
    shows: 'with --cache-none the same prompt runs again in full',
    options: { cache: 'none', corsOrigin: 'https://example.test' },
  },
  {
    name: 'cached_file_deleted',
    shows: 'a cached save names a file that has been deleted since',
    beforeStep: async (step, target) => {
      if (step.kind === 'request' && step.index === 3) {
        await rm(join(target.dataDir, 'output', 'gone_00001_.png'));
      }
    },
  },
  {
    name: 'cached_repeat',
    shows: 'cached nodes are announced, only changed ones run, and /free empties the cache',
  },
  {
    name: 'cached_without_ui',
    shows: 'an output node without ui sends executed with null when cached, nothing when run',
  },
  { name: 'client_prompt_id', shows: 'any prompt_id is taken as text, without a check for duplicates' },
  {
    name: 'core_image',
    shows: 'upload, load, scale, invert, save and view, in the order of one ordinary run',
  },
  {
    name: 'duplicate_id_and_number_500',
    shows: 'the second of two equal prompts answers 500 and both run all the same',
    special: ['statusNumbersRace'],
  },
  {
    name: 'dynamic_cycle',
    shows: 'a cycle at run time sends execution_error and is written down as success',
  },
  {
    name: 'execution_blocked',
    shows: 'a blocked output is reported on the socket only, the run ends as success',
  },
  { name: 'expanded_graph', shows: 'a node that expands at run time shows made-up node ids under its own' },
  {
    name: 'extra_data',
    shows: 'extra_data is shown to all, secrets only while queued, extra_pnginfo goes into the PNG',
  },
  {
    name: 'history_queries',
    shows: 'max_items and offset of /history, and what deleting and clearing leave',
    keepsTime: true,
  },
  {
    name: 'interrupt_global',
    shows: 'an interrupt without id stops what runs; while idle it is forgotten',
    special: ['statusRace'],
  },
  { name: 'interrupt_ksampler', shows: 'a sampler stops at its next step' },
  {
    name: 'interrupt_not_honoured',
    shows: 'a node without progress runs to its end in spite of the interrupt',
  },
  {
    name: 'interrupt_prompt_id',
    shows: 'an interrupt by id stops that prompt only, and answers 200 for any id',
    // The server read this request after the twelfth step had gone out.
    retimed: { 2: 1206.5 },
  },
  { name: 'interrupt_repeat_state', shows: 'finished nodes stay cached after an interrupt' },
  {
    name: 'media_outputs',
    shows: 'what each kind of output node puts into its outputs, and how it is served',
  },
  {
    name: 'misc_endpoints',
    shows: 'system_stats, models, object_info, features and the other small endpoints',
    files: [
      ...['api.png', 'bild ü (1).png', 'core_in.png', 'empty.png', 'mask_out.png'].map(input),
      ...['up_1795320717 (1).png', 'up_1795320717 (2).png', 'up_1795320717.png', 'v.png'].map(input),
    ],
  },
  {
    name: 'nan_output',
    shows: 'NaN and Infinity go out as bare tokens, which strict JSON parsers refuse',
    special: ['statusNumbersRace'],
  },
  { name: 'no_websocket', shows: 'a run followed by polling alone', keepsTime: true },
  { name: 'node_error', shows: 'run-time failures as messages and in history, and what stays cached' },
  {
    name: 'origin_and_cors',
    shows: 'which Origin and Host are let in, with and without --enable-cors-header',
    second: {
      options: { corsOrigin: 'https://example.test', compressResponses: true },
      takes: (step) =>
        step.kind === 'request' ? step.index >= 14 : step.event.client.startsWith('cors-instance'),
    },
  },
  { name: 'queue_batch', shows: 'number and front decide the order of the queue' },
  { name: 'queue_delete', shows: 'deleted prompts vanish without a trace, the running one is never touched' },
  {
    name: 'reconnect_during_run',
    shows: 'a reconnect hears where the run is, and nothing of what it missed',
    keepsTime: true,
    special: ['cutSocket'],
  },
  {
    name: 'reconnect_overlap',
    shows: 'two sockets with one client id: the first falls silent, and its end silences the second',
    keepsTime: true,
  },
  {
    name: 'remove_background',
    shows: 'a picture as base64 comes back as temporary file, saved file and binary frame',
    bodyOf: (request, index) => (index === 0 ? completeBase64Prompt(request) : undefined),
  },
  {
    name: 'server_frozen',
    shows: 'a frozen process keeps everything open and silent, and goes on afterwards',
    keepsTime: true,
    timeoutMs: (request) => (request.label === 'while stopped' ? 300 : 15_000),
    beforeStep: (step, target) => {
      if (step.kind !== 'event' || step.event.type !== 'note') return;
      if (step.event.data === 'SIGSTOP') target.simulator.control.freeze();
      else target.simulator.control.thaw();
    },
  },
  goesDown('server_sigint', 'SIGINT'),
  goesDown('server_sigkill', 'SIGKILL'),
  goesDown('server_sigterm', 'SIGTERM'),
  {
    name: 'two_clients',
    shows: 'who hears what: owner, others, nobody; and runs without a client id',
    retimed: { 7: 5848 },
  },
  {
    name: 'two_sockets_same_prompt_many',
    shows: 'a burst of eight prompts from two clients',
    special: ['statusNumbersRace'],
  },
  {
    name: 'txt2img_previews_legacy',
    shows: 'sampler previews without metadata for a socket that did not ask',
  },
  {
    name: 'txt2img_previews_flag_false',
    shows: 'sampler previews without metadata for a socket that said no',
    warmUp: ['txt2img_previews_legacy'],
  },
  {
    name: 'txt2img_previews_metadata',
    shows: 'sampler previews with metadata for a socket that asked',
    warmUp: ['txt2img_previews_flag_false'],
  },
  { name: 'unserializable_output', shows: 'an output that is not JSON ends the process' },
  {
    name: 'upload_variants',
    shows: 'uploads: names, overwriting, folders, masks, refusals and the size limit',
    second: {
      options: { maxUploadBytes: MIB, corsOrigin: 'https://example.test' },
      takes: (step) => step.kind === 'request' && step.index >= 29,
    },
    bodyOf: completeVariant,
  },
  {
    name: 'validation_errors',
    shows: 'every refusal of POST /prompt, and the partly accepted prompt',
    special: ['statusNumbersRace'],
  },
  {
    name: 'view_variants',
    shows: 'GET /view: folders, previews, channels, ranges, validators and refusals',
    files: [
      { name: 'v.png', type: 'output', bytes: PICTURE },
      { name: 'v.png', type: 'output', subfolder: 'sub/deep', bytes: PICTURE },
      { name: 'v.png', type: 'temp', bytes: PICTURE },
      { name: 'v.png', type: 'input', bytes: PICTURE },
      { name: 'note.txt', type: 'output', bytes: Buffer.from('plain') },
      { name: 'page.html', type: 'output', bytes: Buffer.from('<b>x</b>') },
      { name: 'pic.svg', type: 'output', bytes: Buffer.from("<svg xmlns='http://www.w3.org/2000/svg'/>") },
      { name: 'noext', type: 'output', bytes: Buffer.from('x') },
      { name: 'empty.png', type: 'output' },
    ],
  },
  workerDeath(
    'worker_death_dangling_link',
    'a dangling link in an undeclared input kills the worker, HTTP stays healthy',
  ),
  workerDeath('worker_death_duplicate', 'equal number and id kill the worker when it compares them'),
  workerDeath('worker_death_extra_data_null', 'extra_data null without client_id kills the worker'),
  { name: 'ws_connect', shows: 'client ids, the sid, and when feature flags are answered' },
  {
    name: 'ws_limits',
    shows: 'message size limits in both directions, and compression when offered',
    socketLimit: (client) => (client === 'client-limit-4MiB' ? 4 * MIB : undefined),
    bodyOf: (request, index, recording) => {
      const client = index === 0 ? 'big' : 'client-limit-4MiB';
      const open = recording.ws.find((event) => event.client === client && event.type === 'open');
      const id = String(open?.url_path).split('clientId=')[1];
      return completeLongText(request, `"}}}, "client_id": "${id}"}`);
    },
  },
];

function input(name: string): UploadedFile {
  return { name, type: 'input', bytes: PICTURE };
}

/** The process goes down where the socket of A breaks, and is back where the next socket opens. */
function goesDown(name: string, signal: 'SIGINT' | 'SIGKILL' | 'SIGTERM'): Scenario {
  return {
    name,
    shows: `${signal} ends everything at once; after the restart only files are left`,
    beforeStep: async (step, target) => {
      if (step.kind !== 'event') return;
      if (step.event.client === 'A' && step.event.type === 'closed')
        await target.simulator.control.crash(signal);
      if (step.event.client === 'after-restart' && step.event.type === 'open')
        await target.simulator.control.restart();
    },
  };
}

/** The rig stopped the broken process at the end, which is where the socket closes. */
function workerDeath(name: string, shows: string): Scenario {
  return {
    name,
    shows,
    keepsTime: true,
    beforeStep: async (step, target) => {
      if (step.kind === 'event' && step.event.type === 'closed')
        await target.simulator.control.crash('SIGKILL');
    },
  };
}
