/**
 * GET /queue, without the graphs: they may hold megabytes of pictures. Pending comes in heap order on the wire and is
 * put into run order here, by number. (observed on ComfyUI 0.3.64)
 */
import { isObject, type Json, type JsonObject } from '../lib/json.ts';
import { asJsonObject, textField } from './fields.ts';

export interface QueueItem {
  readonly promptId: string;
  /** Lowest runs first; null where the server wrote NaN or Infinity. */
  readonly number: number | null;
  readonly clientId: string | null;
  /** What was posted beside the graph, without embedded workflows and keys of paid services. */
  readonly extraData: JsonObject;
}

export interface Queue {
  readonly running: readonly QueueItem[];
  readonly pending: readonly QueueItem[];
}

const NOT_KEPT = ['extra_pnginfo', 'auth_token_comfy_org', 'api_key_comfy_org'];

/** Null when the answer is not a queue. */
export function parseQueue(value: Json): Queue | null {
  if (!isObject(value)) return null;
  const { queue_running: running, queue_pending: pending } = value;
  if (!Array.isArray(running) || !Array.isArray(pending)) return null;
  const byNumber = (a: QueueItem, b: QueueItem): number => order(a) - order(b);
  return { running: running.flatMap(queueItem), pending: pending.flatMap(queueItem).sort(byNumber) };
}

/** Where a prompt stands in a queue. */
export function placeInQueue(queue: Queue, promptId: string): 'running' | 'pending' | 'absent' {
  if (queue.running.some((item) => item.promptId === promptId)) return 'running';
  return queue.pending.some((item) => item.promptId === promptId) ? 'pending' : 'absent';
}

function order(item: QueueItem): number {
  return item.number ?? Number.MAX_VALUE;
}

function queueItem(value: unknown): QueueItem[] {
  if (!Array.isArray(value) || typeof value[1] !== 'string') return [];
  const [number, promptId, , posted] = value as [unknown, string, unknown, unknown];
  const extraData = Object.fromEntries(
    Object.entries(asJsonObject(posted) ?? {}).filter(([key]) => !NOT_KEPT.includes(key)),
  );
  return [
    {
      promptId,
      number: typeof number === 'number' ? number : null,
      clientId: textField(extraData, 'client_id'),
      extraData,
    },
  ];
}

/** GET /prompt: running and pending prompts together; null when the answer is something else. */
export function parsePromptCount(value: Json): number | null {
  const info = isObject(value) ? value.exec_info : null;
  return isObject(info) && typeof info.queue_remaining === 'number' ? info.queue_remaining : null;
}
