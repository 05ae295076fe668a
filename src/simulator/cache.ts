/**
 * The node cache: results under a key made of class, inputs and the keys of what the inputs come from, so node ids
 * and clients do not matter. Only what the latest prompt uses survives (ComfyUI's classic cache).
 */
import { createHash } from 'node:crypto';
import { isLink } from './graph.ts';
import { isObject, type Json, type JsonObject } from './python-json.ts';

export interface CachedUi {
  readonly meta: unknown;
  readonly output: Record<string, unknown[]>;
}
interface Entry {
  outputs?: readonly (readonly unknown[])[];
  ui?: CachedUi;
}

export class NodeCache {
  private readonly entries = new Map<string, Entry>();
  private keys = new Map<string, string>();
  private instances = new Map<string, Map<string, string>>();

  /** Forgets all results (POST /free with free_memory, --cache-none). */
  reset(): void {
    this.entries.clear();
    this.instances.clear();
  }

  /** Starts a prompt: computes the keys of its nodes and drops what it does not use. */
  begin(nodes: ReadonlyMap<string, JsonObject>, changed: ReadonlyMap<string, Json>): void {
    this.keys = cacheKeys(nodes, changed, '');
    const used = new Set(this.keys.values());
    for (const key of this.entries.keys()) {
      const owner = key.includes('/') ? key.slice(0, key.indexOf('/')) : key;
      if (!used.has(owner)) this.entries.delete(key);
    }
    const alive = new Set([...nodes].map(([id, node]) => instanceKey(id, node)));
    for (const key of this.instances.keys()) if (!alive.has(key)) this.instances.delete(key);
  }

  /** Adds nodes made at run time; their results live as long as those of the node that made them. */
  extend(all: ReadonlyMap<string, JsonObject>, added: readonly string[], parent: string): void {
    const owner = this.keys.get(parent) ?? parent;
    const keys = cacheKeys(all, new Map(), `${owner.split('/')[0]}/`);
    for (const id of added) this.keys.set(id, keys.get(id) ?? id);
  }

  outputs(nodeId: string): Entry['outputs'] {
    return this.entries.get(this.keys.get(nodeId) ?? '')?.outputs;
  }
  ui(nodeId: string): CachedUi | undefined {
    return this.entries.get(this.keys.get(nodeId) ?? '')?.ui;
  }
  setOutputs(nodeId: string, outputs: readonly (readonly unknown[])[]): void {
    this.entry(nodeId).outputs = outputs;
  }
  setUi(nodeId: string, ui: CachedUi): void {
    this.entry(nodeId).ui = ui;
  }
  private entry(nodeId: string): Entry {
    const key = this.keys.get(nodeId) ?? nodeId;
    const entry = this.entries.get(key) ?? {};
    this.entries.set(key, entry);
    return entry;
  }

  /** State of the node object, which ComfyUI keeps while id and class stay the same. */
  instance(nodeId: string, node: JsonObject): Map<string, string> {
    const key = instanceKey(nodeId, node);
    const instance = this.instances.get(key) ?? new Map<string, string>();
    this.instances.set(key, instance);
    return instance;
  }
}

function instanceKey(id: string, node: JsonObject): string {
  return `${id}\0${String(node.class_type)}`;
}

function cacheKeys(
  nodes: ReadonlyMap<string, JsonObject>,
  changed: ReadonlyMap<string, Json>,
  prefix: string,
): Map<string, string> {
  const keys = new Map<string, string>();
  const open = new Set<string>();
  const keyOf = (id: string): string => {
    const known = keys.get(id);
    if (known !== undefined) return known;
    const node = nodes.get(id);
    // A missing node never equals itself; a cycle has no key of its own.
    if (!node || open.has(id)) return `${prefix}?${id}`;
    open.add(id);
    const inputs = isObject(node.inputs) ? node.inputs : {};
    const parts = Object.keys(inputs)
      .sort()
      .map((name) => {
        const value = inputs[name] ?? null;
        return isLink(value) ? [name, 0, keyOf(value[0]), value[1]] : [name, value];
      });
    open.delete(id);
    const text = JSON.stringify([node.class_type, changed.get(id) ?? false, parts]);
    const key = prefix + createHash('sha1').update(text).digest('base64url');
    keys.set(id, key);
    return key;
  };
  for (const id of nodes.keys()) keyOf(id);
  return keys;
}
