/** What an enemy says over the socket: floods, frames that are no frames, and things about prompts that are not its own. */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Json, JsonObject } from '../../src/lib/json.ts';
import type { Spite } from './hostile-http.ts';
import {
  anyJson,
  deep,
  doubled,
  heavy,
  oddNumber,
  oddText,
  oneOf,
  twisted,
  withBareNumbers,
} from './hostile-json.ts';

export interface Listener {
  readonly socket: WebSocket;
  /** The connection below it, for bytes that are not WebSocket. */
  readonly wire: Duplex;
}

/** What may be said about a prompt; the id may be anyone's. */
export function honestMessages(promptId: string, nodes: readonly string[]): JsonObject[] {
  const of = (type: string, data: JsonObject): JsonObject => ({
    type,
    data: { ...data, prompt_id: promptId },
  });
  const state = (value: number): JsonObject => ({
    nodes: Object.fromEntries(
      nodes.map((id) => [
        id,
        {
          value,
          max: 4,
          state: value < 4 ? 'running' : 'finished',
          node_id: id,
          prompt_id: promptId,
          display_node_id: id,
        },
      ]),
    ),
  });
  const last = nodes.at(-1) ?? '1';
  return [
    of('execution_start', { timestamp: Date.now() }),
    of('execution_cached', { nodes: [], timestamp: Date.now() }),
    ...nodes.map((node) => of('executing', { node, display_node: node })),
    of('progress_state', state(1)),
    of('progress', { node: last, value: 2, max: 4 }),
    of('progress_state', state(4)),
    of('executed', { node: last, display_node: last, output: { images: [], text: ['half way'] } }),
    of('execution_success', { timestamp: Date.now() }),
  ];
}

type Saying = (listener: Listener, promptId: string, nodes: readonly string[], spite: Spite) => void;

/** Says one thing wrongly to one listener. */
export function blurt(listener: Listener, promptId: string, nodes: readonly string[], spite: Spite): void {
  const [kind, saying] = oneOf(spite.random, SAYINGS);
  spite.note(kind);
  saying(listener, promptId, nodes, spite);
}

const ODD_NAMES = [
  'execution_error',
  'executed',
  'progress',
  'status',
  'feature_flags',
  'custom.node',
  '__proto__',
] as const;

const SAYINGS: readonly [[string, Saying], ...[string, Saying][]] = [
  [
    'socket: twisted',
    (to, id, nodes, { random }) => each(to, id, nodes, (message) => text(to, twisted(message, random))),
  ],
  [
    'socket: NaN',
    (to, id, nodes, { random }) =>
      each(to, id, nodes, (message) => say(to, withBareNumbers(message, random))),
  ],
  [
    'socket: doubled keys',
    (to, id, nodes, { random }) => each(to, id, nodes, (message) => say(to, doubled(message, random))),
  ],
  [
    'socket: odd progress',
    (to, id, nodes, { random }) => {
      for (let n = 0; n < 200; n++) {
        const node = oneOf(random, [nodes[0] ?? '1', oddText(random)]);
        text(to, {
          type: 'progress',
          data: { prompt_id: id, node, value: oddNumber(random), max: oddNumber(random) },
        });
      }
    },
  ],
  [
    'socket: flood of progress',
    (to, id, nodes) => {
      for (let value = 0; value < 2000; value++) {
        text(to, { type: 'progress', data: { prompt_id: id, node: nodes[0] ?? '1', value, max: 2000 } });
      }
    },
  ],
  [
    'socket: flood of status',
    (to, _id, _nodes, { random }) => {
      for (let n = 0; n < 1000; n++) {
        text(to, { type: 'status', data: { status: { exec_info: { queue_remaining: oddNumber(random) } } } });
      }
    },
  ],
  [
    'socket: flood of previews',
    (to, id) => {
      for (let n = 0; n < 60; n++)
        to.socket.send(preview({ prompt_id: id, node_id: '1', image_type: 'image/jpeg' }, 20_000));
    },
  ],
  [
    'socket: odd preview',
    (to, id, _nodes, { random }) => {
      to.socket.send(preview({ prompt_id: id, node_id: oddText(random), image_type: oddText(random) }, 100));
      to.socket.send(preview(anyJson(random), 0));
    },
  ],
  [
    'socket: giant preview',
    (to, id, _nodes, { largestBytes }) =>
      to.socket.send(preview({ prompt_id: id, node_id: '1', image_type: 'image/png' }, largestBytes)),
  ],
  [
    'socket: frames that lie',
    (to) => {
      for (const head of [
        [0, 0, 0, 1],
        [0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff],
        [0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff],
        [9, 9, 9, 9, 0, 0, 0, 0],
        [],
      ]) {
        to.socket.send(Buffer.from(head));
      }
    },
  ],
  [
    'socket: results nobody ordered',
    (to) => to.socket.send(Buffer.concat([Buffer.from([0, 0, 0, 1, 0, 0, 0, 2]), Buffer.alloc(5000)])),
  ],
  [
    'socket: anything',
    (to, id, _nodes, { random }) => {
      const data = { ...asObject(anyJson(random)), prompt_id: oneOf<Json>(random, [id, null, 7]) };
      for (const type of ODD_NAMES) text(to, { type, data });
      text(to, { type: oddText(random), data });
      text(to, anyJson(random));
    },
  ],
  ['socket: deep', (to, _id, _nodes, { random }) => say(to, deep(Math.floor(random() * 200_000), true))],
  [
    'socket: heavy',
    (to, id, nodes, { random, largestBytes }) => {
      const data = heavy({ prompt_id: id, node: nodes[0] ?? '1' }, random() * largestBytes, random);
      say(to, `{"type":"${oneOf(random, ['executed', 'custom', 'progress'])}","data":${data}}`);
    },
  ],
  ['socket: not UTF-8', (to) => to.wire.write(Buffer.from([0x81, 0x02, 0xff, 0xfe]))],
  ['socket: masked', (to) => to.wire.write(Buffer.from([0x81, 0x81, 1, 2, 3, 4, 5]))],
  ['socket: no such opcode', (to) => to.wire.write(Buffer.from([0x8b, 0x00]))],
  ['socket: a frame of terabytes', (to) => to.wire.write(Buffer.from([0x82, 0x7f, 0, 0, 1, 0, 0, 0, 0, 0]))],
  ['socket: never finished', (to) => to.wire.write(Buffer.from([0x01, 0x03, 0x7b, 0x22, 0x61]))],
  [
    'socket: closed oddly',
    (to, _id, _nodes, { random }) => to.socket.close(oneOf(random, [1000, 1001, 1011, 3000, 4999]), 'why'),
  ],
  ['socket: cut', (to) => to.wire.destroy()],
];

function each(
  _to: Listener,
  id: string,
  nodes: readonly string[],
  tell: (message: JsonObject) => void,
): void {
  for (const message of honestMessages(id, nodes)) tell(message);
}

function text(to: Listener, value: Json): void {
  say(to, JSON.stringify(value));
}

function say({ socket }: Listener, words: string): void {
  socket.send(words);
}

function asObject(value: Json): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : { value };
}

function preview(metadata: Json, bytes: number): Buffer {
  const json = Buffer.from(JSON.stringify(metadata));
  const head = Buffer.alloc(8);
  head.writeUInt32BE(4, 0);
  head.writeUInt32BE(json.length, 4);
  return Buffer.concat([head, json, Buffer.alloc(bytes, 0xd8)]);
}
