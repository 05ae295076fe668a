/** The routes that change or show prompts: submitting, queue, history, interrupting, freeing memory. */

import type { LifeSetting } from './life-setting.ts';
import { itemToJson, type QueueItem } from './prompt-queue.ts';
import { PythonError } from './python-error.ts';
import { fromFloat, isObject, type Json, parseJson, toFloat, toStr } from './python-json.ts';
import { type Exchange, sendEmpty, sendJson } from './reply.ts';
import { tagIn } from './run-log.ts';
import type { ServerLife } from './server-life.ts';
import { validatePrompt } from './validation.ts';

/** The body as request.json() gives it. Throws PythonError (500) for what it cannot parse. */
function jsonOf(body: Buffer): Json {
  const value = parseJson(body.toString('utf8'));
  if (value === undefined) throw new PythonError('json.decoder.JSONDecodeError', 'Expecting value');
  return value;
}

function numberOf(body: Json, life: ServerLife): number {
  if (isObject(body) && 'number' in body) {
    const number = toFloat(body.number ?? null);
    if (number === undefined) throw new PythonError('TypeError', 'float() argument');
    return number;
  }
  const counted = life.nextNumber;
  life.nextNumber += 1;
  return isObject(body) && body.front ? -counted : counted;
}

const NO_PROMPT = {
  type: 'no_prompt',
  message: 'No prompt provided',
  details: 'No prompt provided',
  extra_info: {},
};

export async function postPrompt(
  exchange: Exchange,
  bytes: Buffer,
  life: ServerLife,
  setting: LifeSetting,
): Promise<void> {
  const { refusePrompts, crashOnPrompt } = setting.faults;
  if (refusePrompts !== null) return sendEmpty(exchange, refusePrompts);
  const body = jsonOf(bytes);
  if (body === null || typeof body === 'number' || typeof body === 'boolean')
    throw new PythonError('TypeError', 'not iterable');
  const number = numberOf(body, life);
  if (!isObject(body) || !('prompt' in body))
    return sendJson(exchange, { error: NO_PROMPT, node_errors: {} }, 400);
  const prompt = body.prompt ?? null;
  const promptId = 'prompt_id' in body ? toStr(body.prompt_id ?? null) : life.makeId();
  const checked = await validatePrompt(prompt, body.partial_execution_targets, setting.classes, life.world);
  let extraData: Json = 'extra_data' in body ? (body.extra_data ?? null) : {};
  if ('client_id' in body) {
    if (!isObject(extraData)) throw new PythonError('TypeError', 'object does not support item assignment');
    extraData = { ...extraData, client_id: body.client_id ?? null };
  }
  if (!checked.ok) return sendJson(exchange, { error: checked.error, node_errors: checked.nodeErrors }, 400);
  if (!isObject(prompt)) throw new PythonError('TypeError', 'prompt');
  const outputs = [...setting.options.orderOutputs(checked.outputs)];
  const item: QueueItem = { number, promptId, prompt, extraData, outputs };
  setting.log.posted({ promptId, at: setting.clock.now(), number, tag: tagIn(extraData), answered: false });
  life.queue.put(item);
  if (crashOnPrompt) return life.crash('crash on prompt');
  sendJson(exchange, { prompt_id: promptId, number: fromFloat(number), node_errors: checked.nodeErrors });
  setting.log.answered(promptId);
}

export function getQueue(exchange: Exchange, life: ServerLife): void {
  const { queue } = life;
  sendJson(exchange, {
    queue_running: queue.running().map(itemToJson),
    queue_pending: queue.pending().map(itemToJson),
  });
}

export function postQueue(exchange: Exchange, bytes: Buffer, life: ServerLife): void {
  const body = containerOf(jsonOf(bytes));
  if (body.clear) life.queue.clear();
  for (const id of idsOf(body.delete)) life.queue.delete(id);
  sendEmpty(exchange);
}

export function postHistory(exchange: Exchange, bytes: Buffer, life: ServerLife): void {
  const body = containerOf(jsonOf(bytes));
  if (body.clear) life.queue.clearHistory();
  for (const id of idsOf(body.delete)) life.queue.deleteHistory(id);
  sendEmpty(exchange);
}

/** `"clear" in body` works for lists and texts too; for numbers and null it raises. */
function containerOf(body: Json): Record<string, Json> {
  if (isObject(body)) return body;
  if (Array.isArray(body) && !body.includes('clear') && !body.includes('delete')) return {};
  throw new PythonError('TypeError', 'argument is not iterable');
}

/** Iterating a text gives its letters: that is why a text silently deletes nothing. */
function idsOf(value: Json | undefined): Json[] {
  if (value === undefined) return [];
  if (typeof value === 'string') return [...value];
  if (Array.isArray(value)) return value;
  if (isObject(value)) return Object.keys(value);
  throw new PythonError('TypeError', 'object is not iterable');
}

export function getHistory(exchange: Exchange, life: ServerLife): void {
  const query = exchange.url.searchParams;
  const entries = life.queue.history(integerOf(query.get('max_items')), integerOf(query.get('offset')) ?? -1);
  sendJson(exchange, Object.fromEntries(entries));
}

function integerOf(text: string | null): number | undefined {
  if (text === null) return undefined;
  if (!/^\s*[+-]?\d+\s*$/.test(text)) throw new PythonError('ValueError', 'invalid literal for int()');
  return Number(text);
}

export function postInterrupt(exchange: Exchange, bytes: Buffer, life: ServerLife): void {
  const body = parseJson(bytes.toString('utf8')) ?? (bytes.toString('utf8').trim() === 'null' ? null : {});
  if (!isObject(body)) throw new PythonError('AttributeError', "object has no attribute 'get'");
  const id = body.prompt_id;
  const aimed = id !== undefined && id !== null && id !== '' && id !== false && id !== 0;
  if (!aimed || life.queue.running().some((item) => item.promptId === id)) life.interrupt();
  sendEmpty(exchange);
}

export function postFree(exchange: Exchange, bytes: Buffer, life: ServerLife): void {
  const body = jsonOf(bytes);
  if (!isObject(body)) throw new PythonError('AttributeError', "object has no attribute 'get'");
  if (body.unload_models) life.queue.setFlag('unload_models');
  if (body.free_memory) life.queue.setFlag('free_memory');
  sendEmpty(exchange);
}
