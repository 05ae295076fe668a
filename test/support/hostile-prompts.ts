/** What becomes of prompts at an enemy: some run as they should, the others meet a fate that no honest instance has. */
import { isObject, type Json, type JsonObject } from '../../src/lib/json.ts';
import type { Spite } from './hostile-http.ts';
import { oddNumber, oddText, oneOf } from './hostile-json.ts';
import { blurt, honestMessages, type Listener } from './hostile-socket.ts';

interface Prompt {
  readonly id: string;
  readonly number: number;
  readonly clientId: string;
  readonly graph: JsonObject;
  readonly extraData: JsonObject;
  readonly fate: Fate;
  readonly fair: boolean;
  state: 'queued' | 'ended' | 'gone';
}

const FATES = [
  'success',
  'success',
  'success',
  'error',
  'never ends',
  'vanishes',
  'ends without a record',
  'nothing made',
  'impossible files',
  'too many files',
  'too many texts',
  'odd record',
  "another's record",
] as const;
type Fate = (typeof FATES)[number];

const SAVED: JsonObject = { filename: 'saved_00001_.png', subfolder: '', type: 'output' };

export class HostilePrompts {
  readonly posted: string[] = [];
  readonly #spite: Spite;
  readonly #listener: (clientId: string) => Listener | undefined;
  readonly #prompts = new Map<string, Prompt>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #numbers = 0;

  constructor(spite: Spite, listener: (clientId: string) => Listener | undefined) {
    this.#spite = spite;
    this.#listener = listener;
  }

  get count(): number {
    return this.#queued().length;
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** About a prompt that stands for no job, or while one is there: a canary is let through. */
  isFair(path: string, body: Json): boolean {
    if (path === '/prompt' && isObject(body) && isObject(body.prompt)) return !carriesJob(body.extra_data);
    return [...this.#prompts.values()].some(
      (prompt) => prompt.fair && (prompt.state === 'queued' || path.includes(prompt.id)),
    );
  }

  /** The answer to POST /prompt. */
  post(body: Json): JsonObject {
    const fields = isObject(body) ? (body as JsonObject) : {};
    const { random, note } = this.#spite;
    const fair = !carriesJob(fields.extra_data);
    const prompt: Prompt = {
      id: String(fields.prompt_id),
      number: this.#numbers++,
      clientId: String(fields.client_id),
      graph: isObject(fields.prompt) ? (fields.prompt as JsonObject) : {},
      extraData: isObject(fields.extra_data) ? (fields.extra_data as JsonObject) : {},
      fate: fair ? 'success' : oneOf(random, FATES),
      fair,
      state: 'queued',
    };
    this.posted.push(prompt.id);
    this.#prompts.set(prompt.id, prompt);
    this.#forgetOld();
    note(`fate: ${prompt.fate}`);
    this.#later(() => this.#run(prompt), fair ? 5 : 1 + random() * 30);
    return { prompt_id: prompt.id, number: prompt.number, node_errors: {} };
  }

  /** POST /queue, /interrupt and the rest; an interrupt of a prompt that never ends is heard half the time. */
  command(path: string, body: Json): void {
    const fields = isObject(body) ? (body as JsonObject) : {};
    const named =
      path === '/interrupt' ? [fields.prompt_id] : Array.isArray(fields.delete) ? fields.delete : [];
    for (const id of named) {
      const prompt = this.#prompts.get(String(id));
      if (prompt?.state === 'queued' && this.#spite.random() < 0.5) prompt.state = 'gone';
    }
  }

  queue(): JsonObject {
    const [running, ...pending] = this.#queued().map(({ number, id, graph, extraData, clientId }) => [
      number,
      id,
      graph,
      { ...extraData, client_id: clientId },
      [],
    ]);
    return { queue_running: running ? [running] : [], queue_pending: pending };
  }

  history(id: string): JsonObject {
    const prompt = this.#prompts.get(id);
    if (prompt?.state !== 'ended') return {};
    if (prompt.fate === "another's record") return { [this.posted[0] ?? id]: this.#record(prompt) };
    return { [id]: this.#record(prompt) };
  }

  #record(prompt: Prompt): JsonObject {
    const { id, fate } = prompt;
    const at = {
      prompt_id: id,
      timestamp: fate === 'odd record' ? oddNumber(this.#spite.random) : Date.now(),
    };
    const end =
      fate === 'error' ? ['execution_error', { ...at, ...this.#error() }] : ['execution_success', at];
    return {
      prompt: [prompt.number, id, prompt.graph, prompt.extraData, []],
      outputs: this.#outputs(prompt),
      status: {
        status_str: 'success',
        completed: true,
        messages: [['execution_start', { ...at, timestamp: 1 }], end],
      },
      meta:
        fate === 'odd record'
          ? { [oddText(this.#spite.random)]: { display_node: oddText(this.#spite.random) } }
          : {},
    };
  }

  #outputs({ fate, graph }: Prompt): JsonObject {
    const { random } = this.#spite;
    const node = Object.keys(graph).at(-1) ?? '1';
    switch (fate) {
      case 'success':
        return { [node]: { images: [SAVED] } };
      case 'impossible files':
        return {
          [node]: { images: impossible(random) },
          [oddText(random)]: { images: [SAVED], '': [SAVED] },
        };
      case 'too many files':
        return {
          [node]: { images: Array.from({ length: 100_000 }, (_, n) => ({ ...SAVED, filename: `${n}.png` })) },
        };
      case 'too many texts':
        return { [node]: { text: Array.from({ length: 100_000 }, (_, n) => `text ${n}`) } };
      case 'odd record':
        return { [node]: { images: [SAVED], text: [oddText(random)], odd: [oddNumber(random), null] } };
      default:
        return {};
    }
  }

  #error(): JsonObject {
    const { random } = this.#spite;
    return {
      node_id: oddText(random),
      node_type: oddText(random),
      exception_type: oneOf(random, ['ValueError', 'torch.OutOfMemoryError', oddText(random)]),
      exception_message: oneOf(random, [
        'sad\n',
        'CUDA error: device-side assert triggered',
        oddText(random),
      ]),
      traceback: ['x'.repeat(10_000)],
    };
  }

  #run(prompt: Prompt): void {
    if (prompt.state !== 'queued') return;
    const { random } = this.#spite;
    const listener = this.#listener(prompt.clientId);
    const nodes = Object.keys(prompt.graph);
    if (listener) {
      if (prompt.fair || random() < 0.5) this.#narrate(listener, prompt.id, nodes);
      else blurt(listener, random() < 0.8 ? prompt.id : (this.posted[0] ?? prompt.id), nodes, this.#spite);
    }
    if (prompt.fate === 'never ends') return;
    const recorded = prompt.fate !== 'vanishes' && prompt.fate !== 'ends without a record';
    prompt.state = recorded ? 'ended' : 'gone';
    if (prompt.fate === 'vanishes' || !listener) return;
    const over = { type: 'executing', data: { node: null, prompt_id: prompt.id } };
    listener.socket.send(JSON.stringify(over));
  }

  #narrate(listener: Listener, id: string, nodes: readonly string[]): void {
    for (const message of honestMessages(id, nodes)) listener.socket.send(JSON.stringify(message));
  }

  #queued(): Prompt[] {
    return [...this.#prompts.values()].filter((prompt) => prompt.state === 'queued');
  }

  /** It keeps a few hundred, so that this process stays small. */
  #forgetOld(): void {
    for (const id of this.#prompts.keys()) {
      if (this.#prompts.size <= 300) return;
      this.#prompts.delete(id);
    }
  }

  #later(work: () => void, ms: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }
}

function carriesJob(extraData: unknown): boolean {
  return JSON.stringify(extraData ?? null).includes('"job"');
}

function impossible(random: Spite['random']): Json[] {
  const names = [
    '../../../etc/passwd',
    '/etc/shadow',
    'a\u0000b.png',
    '\ud800.png',
    '..',
    '.',
    `${'n'.repeat(100_000)}.png`,
  ];
  return [
    ...names.map((filename) => ({ ...SAVED, filename })),
    { ...SAVED, subfolder: '../../..' },
    { ...SAVED, subfolder: 's'.repeat(100_000) },
    { ...SAVED, type: oddText(random) },
    { ...SAVED, filename: 7 },
    oddText(random),
    oddNumber(random),
    [SAVED, [SAVED]],
  ];
}
