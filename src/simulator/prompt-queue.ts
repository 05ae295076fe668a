/** Pending, running and finished prompts of one server life, with the moves between them and their side effects. */

import { fromFloat, isObject, type Json, type JsonObject, sameJson } from './python-json.ts';
import { heapify, heapPop, heapPush } from './queue-heap.ts';

/** One queue item: [number, prompt_id, prompt, extra_data, outputs_to_execute]. */
export interface QueueItem {
  readonly number: number;
  readonly promptId: string;
  readonly prompt: JsonObject;
  readonly extraData: Json;
  readonly outputs: string[];
}

export interface HistoryResult {
  readonly outputs: Record<string, unknown>;
  readonly meta: Record<string, unknown>;
  readonly success: boolean;
  readonly messages: (readonly [string, unknown])[];
}

/** Entries kept: the oldest goes when there are more (ComfyUI's MAXIMUM_HISTORY_SIZE). */
const MAX_HISTORY = 10_000;
const SECRET_KEYS = ['auth_token_comfy_org', 'api_key_comfy_org'];

/** Python compares the tuples member by member; two unequal dicts have no order. */
export class UnorderableItems extends Error {}

function before(a: QueueItem, b: QueueItem): boolean {
  if (a.number !== b.number) return a.number < b.number;
  if (a.promptId !== b.promptId) return a.promptId < b.promptId;
  if (!sameJson(a.prompt, b.prompt) || !sameJson(a.extraData, b.extraData)) {
    throw new UnorderableItems("'<' not supported between instances of 'dict' and 'dict'");
  }
  return a.outputs.join('\0') < b.outputs.join('\0');
}

export function itemToJson(item: QueueItem): Json {
  return [fromFloat(item.number), item.promptId, item.prompt, item.extraData, item.outputs];
}

export class PromptQueue {
  private pendingItems: QueueItem[] = [];
  private readonly runningItems: QueueItem[] = [];
  private readonly finished = new Map<string, Record<string, unknown>>();
  private readonly onChange: () => void;
  private wake: (() => void) | undefined;
  private readonly flags = new Set<'unload_models' | 'free_memory'>();

  /** `onChange` broadcasts the status; it is called exactly where ComfyUI calls queue_updated. */
  constructor(onChange: () => void) {
    this.onChange = onChange;
  }

  remaining(): number {
    return this.pendingItems.length + this.runningItems.length;
  }
  running(): readonly QueueItem[] {
    return this.runningItems;
  }
  /** In heap order, which is not the order of execution. */
  pending(): readonly QueueItem[] {
    return this.pendingItems;
  }

  /** Throws UnorderableItems after the item was appended; the worker is then not woken. */
  put(item: QueueItem): void {
    heapPush(this.pendingItems, item, before);
    this.onChange();
    this.notify();
  }

  /** The next item, moved to running; undefined when none waits. Throws UnorderableItems (the worker dies of it). */
  take(): QueueItem | undefined {
    const item = heapPop(this.pendingItems, before);
    if (item === undefined) return undefined;
    this.runningItems.push(item);
    this.onChange();
    return item;
  }

  /** Resolves when something was put or a flag was set after this call. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  private notify(): void {
    this.wake?.();
    this.wake = undefined;
  }

  setFlag(flag: 'unload_models' | 'free_memory'): void {
    this.flags.add(flag);
    this.notify();
  }
  takeFlags(): ReadonlySet<string> {
    const taken = new Set(this.flags);
    this.flags.clear();
    return taken;
  }

  done(item: QueueItem, result: HistoryResult): void {
    const index = this.runningItems.indexOf(item);
    if (index >= 0) this.runningItems.splice(index, 1);
    if (this.finished.size > MAX_HISTORY) {
      for (const oldest of this.finished.keys()) {
        this.finished.delete(oldest);
        break;
      }
    }
    const extraData = isObject(item.extraData) ? { ...item.extraData } : item.extraData;
    if (isObject(extraData)) for (const key of SECRET_KEYS) delete extraData[key];
    this.finished.set(item.promptId, {
      prompt: itemToJson({ ...item, extraData }),
      outputs: result.outputs,
      status: {
        status_str: result.success ? 'success' : 'error',
        completed: result.success,
        messages: result.messages,
      },
      meta: result.meta,
    });
    this.onChange();
  }

  clear(): void {
    this.pendingItems = [];
    this.onChange();
  }

  /** Removes the first pending item with the id; the last one of the queue announces itself twice, as in ComfyUI. */
  delete(promptId: Json): void {
    const index = this.pendingItems.findIndex((item) => item.promptId === promptId);
    if (index < 0) return;
    if (this.pendingItems.length === 1) this.clear();
    else {
      this.pendingItems.splice(index, 1);
      heapify(this.pendingItems, before);
    }
    this.onChange();
  }

  historyOf(promptId: string): Record<string, unknown> {
    const entry = this.finished.get(promptId);
    return entry === undefined ? {} : { [promptId]: entry };
  }

  /** Entries oldest first; `offset` -1 with a limit means the newest ones. */
  history(maxItems: number | undefined, offset: number): [string, unknown][] {
    const start = offset < 0 && maxItems !== undefined ? this.finished.size - maxItems : offset;
    const out: [string, unknown][] = [];
    let index = 0;
    for (const entry of this.finished) {
      if (index >= start) {
        out.push(entry);
        if (maxItems !== undefined && out.length >= maxItems) break;
      }
      index += 1;
    }
    return out;
  }
  clearHistory(): void {
    this.finished.clear();
  }
  deleteHistory(promptId: Json): void {
    if (typeof promptId === 'string') this.finished.delete(promptId);
  }
}
