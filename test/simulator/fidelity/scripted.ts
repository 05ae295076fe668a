/** Scenarios of which the recording keeps only counts: their claims, tried out by scripts of their own. */
import type { Agent } from 'node:http';
import { expect } from 'vitest';
import { call, callAgent } from './http-call.ts';
import { isRecord, loadRecording, parseLoose } from './recording.ts';
import { rigOptions } from './rig.ts';
import { startTarget, type Target } from './target.ts';
import { WireSocket } from './wire-socket.ts';

export interface Scripted {
  /** The name of the recording. */
  readonly name: string;
  readonly shows: string;
  readonly run: () => Promise<void>;
}

export const SCRIPTED: readonly Scripted[] = [
  {
    name: 'cancel_recipe',
    shows: 'deleting and interrupting by turns ends any prompt within two rounds',
    run: () => onStage(cancelRecipe),
  },
  {
    name: 'interrupt_race',
    shows: 'an interrupt straight after the reply is answered 200 and either taken or lost',
    run: () => onStage(interruptRace),
  },
  {
    name: 'timing_history',
    shows: 'history is readable whenever executing null has been heard',
    run: () => onStage(historyAfterTheEnd),
  },
  {
    name: 'stalled_reader',
    shows: 'one reader that does not read holds up every other socket',
    run: () => onStage(stalledReader),
  },
];

class Stage {
  readonly target: Target;
  readonly #agent: Agent = callAgent();
  readonly #sockets: WireSocket[] = [];

  constructor(target: Target) {
    this.target = target;
  }

  async json(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const answer = await call(this.#agent, this.target.simulator.url, { method, path, body: text });
    if (answer.kind !== 'answer') throw new Error(`${method} ${path}: ${answer.kind}`);
    expect(answer.status).toBe(200);
    const value = answer.body.length === 0 ? {} : parseLoose(answer.body.toString('utf8'));
    if (!isRecord(value)) throw new Error(`${method} ${path}: not an object`);
    return value;
  }

  async submit(prompt: unknown, clientId?: string): Promise<string> {
    const body = clientId === undefined ? { prompt } : { prompt, client_id: clientId };
    return String((await this.json('POST', '/prompt', body)).prompt_id);
  }

  async socket(clientId: string): Promise<WireSocket> {
    const url = `${this.target.simulator.url.replace('http:', 'ws:')}/ws?clientId=${clientId}`;
    const socket = new WireSocket(url, { offerCompression: false });
    this.#sockets.push(socket);
    await socket.opened();
    return socket;
  }

  /** Whether the socket has heard a message of this type about this prompt. */
  heard(socket: WireSocket, type: string, promptId: string): boolean {
    return socket.items.some((item) => {
      if (item.type !== 'text' || !('data' in item) || !isRecord(item.data) || item.data.type !== type)
        return false;
      return isRecord(item.data.data) && item.data.data.prompt_id === promptId;
    });
  }

  end(): void {
    this.#agent.destroy();
    for (const socket of this.#sockets) void socket.close(true);
  }
}

async function onStage(script: (stage: Stage) => Promise<void>): Promise<void> {
  const target = await startTarget(rigOptions({}));
  const stage = new Stage(target);
  try {
    await script(stage);
  } finally {
    stage.end();
    await target.end();
  }
}

const TRIES = 5;

async function cancelRecipe(stage: Stage): Promise<void> {
  const outcomes: string[] = [];
  for (let salt = 0; salt < TRIES; salt++) {
    outcomes.push(`idle: ${await cancel(stage, await stage.submit(sleeper(salt)))}`);
  }
  const runner = await stage.submit(sleeper(100));
  for (let salt = 200; salt < 200 + TRIES; salt++) {
    outcomes.push(`behind another: ${await cancel(stage, await stage.submit(sleeper(salt)))}`);
  }
  await cancel(stage, runner);
  const recorded = loadRecording('cancel_recipe').measured;
  const known = isRecord(recorded) && isRecord(recorded.outcomes) ? Object.keys(recorded.outcomes) : [];
  // How many rounds an interrupt takes depends on where in its step it hits the node: two at most.
  const fewer = known.map((outcome) => outcome.replace('rounds 2', 'rounds 1'));
  for (const outcome of outcomes) expect([...known, ...fewer]).toContain(outcome);
  expect(new Set(outcomes.slice(TRIES))).toEqual(
    new Set(known.filter((outcome) => outcome.startsWith('behind'))),
  );
}

/** Delete, interrupt, look; every 50 ms until the prompt is neither pending nor running. */
async function cancel(stage: Stage, id: string): Promise<string> {
  for (let round = 1; ; round++) {
    await stage.json('POST', '/queue', { delete: [id] });
    await stage.json('POST', '/interrupt', { prompt_id: id });
    if (!JSON.stringify(await stage.json('GET', '/queue')).includes(id)) {
      const history = JSON.stringify(await stage.json('GET', `/history/${id}`));
      if (history === '{}') return `removed before it ran (no history), rounds ${round}`;
      const how = history.includes('execution_interrupted') ? 'interrupted' : 'ran to its end';
      return `${how}, rounds ${round}`;
    }
    expect(round).toBeLessThan(10);
    await stage.target.pace.pass(50);
  }
}

function sleeper(salt: number): unknown {
  return {
    '1': { class_type: 'RigSleep', inputs: { seconds: 2, steps: 40, preview: 'none', salt } },
    '2': { class_type: 'SaveImage', inputs: { filename_prefix: 'cancel', images: ['1', 0] } },
  };
}

async function interruptRace(stage: Stage): Promise<void> {
  for (let salt = 0; salt < TRIES; salt++) {
    const id = await stage.submit(sleeper(salt));
    await stage.json('POST', '/interrupt', { prompt_id: id });
    const history = await ended(stage, id);
    if (history.includes('execution_interrupted')) expect(history).toContain('"completed":false');
    else expect(history).toContain('"execution_success"');
  }
}

/** The history entry of a prompt as text, once it is there. */
async function ended(stage: Stage, id: string): Promise<string> {
  for (let seconds = 0; seconds < 20; seconds++) {
    const history = JSON.stringify(await stage.json('GET', `/history/${id}`));
    if (history !== '{}') return history;
    await stage.target.pace.pass(1000);
  }
  throw new Error(`${id} never ended`);
}

async function historyAfterTheEnd(stage: Stage): Promise<void> {
  const socket = await stage.socket('timing');
  for (let color = 0; color < 20; color++) {
    const id = await stage.submit(
      {
        '1': { class_type: 'EmptyImage', inputs: { width: 16, height: 16, batch_size: 1, color } },
        '2': { class_type: 'SaveImage', inputs: { filename_prefix: 'timing', images: ['1', 0] } },
      },
      'timing',
    );
    const ended = (): boolean =>
      JSON.stringify(socket.items.at(-1)).includes(`"node":null,"prompt_id":"${id}"`);
    expect(await stage.target.pace.until(ended)).toBe(true);
    expect(await stage.json('GET', `/history/${id}`)).toHaveProperty([id, 'status', 'status_str'], 'success');
  }
}

async function stalledReader(stage: Stage): Promise<void> {
  const [broadcast, ownPrompt] = loadRecording('stalled_reader').http;
  const listener = isRecord(ownPrompt?.request_body) ? String(ownPrompt.request_body.client_id) : '';
  const b = await stage.socket(listener);
  const s = await stage.socket('stalled');
  s.pause();
  await stage.json('POST', '/prompt', broadcast?.request_body);
  const { prompt_id: id } = await stage.json('POST', '/prompt', ownPrompt?.request_body);
  const ownId = String(id);
  let inHistory = false;
  while (!inHistory) {
    await stage.target.pace.pass(100);
    inHistory = ownId in (await stage.json('GET', `/history/${ownId}`));
  }
  await stage.target.pace.pass(6000);
  expect(stage.heard(b, 'execution_start', ownId)).toBe(false);
  expect(await stage.json('GET', '/queue')).toEqual({ queue_running: [], queue_pending: [] });
  s.resume();
  expect(await stage.target.pace.until(() => stage.heard(b, 'execution_success', ownId))).toBe(true);
}
