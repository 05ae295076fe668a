/**
 * What a graph needs and what an instance has: the two sides the planner matches before anything else. A need is a node
 * type, or a model by its name exactly as the graph writes it, because ComfyUI compares names letter by letter: an
 * instance on Windows lists `sub\model.safetensors`, one on Linux `sub/model.safetensors`, and each takes only its own.
 *
 * Whether an input names a model is not told by its name but by what instances offer there: an input is one of a model
 * when its choices on some instance are (see comfyui/object-info.ts), a free text never is. Where no instance knows the
 * input (nobody has said yet what he has, or the input is made up at run time, as stacked loaders do), the ending of the
 * value decides. Each model is then looked for in the list of that very input, so that a LoRA is not found because a
 * checkpoint has its name.
 */
import { createHash } from 'node:crypto';
import type { Graph, Json } from './graph.ts';
import { liveNodes } from './live-nodes.ts';
import {
  folderOf,
  isModelFileName,
  isName,
  isNoModel,
  type Place,
  placeOf,
  soundsLikeModel,
} from './model-files.ts';

/** One model file an instance lists; `kind` is ComfyUI's folder name (checkpoints, loras, ...) or `other`. */
export interface ModelFile {
  readonly kind: string;
  readonly name: string;
}

/** What one instance can run, as read from its node list. */
export interface Inventory {
  readonly nodeTypes: readonly string[];
  readonly models: readonly ModelFile[];
  /** Absent when it was read by a version that did not keep it: a model may then be in any list. */
  readonly inputs?: InputLists;
}

/** What an instance says of its inputs, as far as it concerns models. */
export interface InputLists {
  /** Each list of choices once, however many inputs offer it. */
  readonly lists: readonly (readonly string[])[];
  /** The inputs that choose a model, and which of the lists they offer. */
  readonly offers: Readonly<Record<Place, number>>;
  /** Node types with results for the user; absent in lists of older versions: any type may be one. */
  readonly endTypes?: readonly string[];
  /** Inputs that take a free text or an uploaded file, which is no model whatever it looks like. */
  readonly texts: readonly Place[];
}

/** A model and the input that names it. */
export interface ModelUse {
  readonly input: Place;
  readonly model: string;
}

/** What a graph names, each list sorted and without repeats. */
export interface Needs {
  readonly nodeTypes: readonly string[];
  /** Names of models. */
  readonly models: readonly string[];
  /** Where they are named; a model without an entry may be in any list. */
  readonly uses?: readonly ModelUse[];
}

/** Names of inputs that hold words of the user or names of results, for inputs that no instance knows. */
const FREE_TEXT_INPUT =
  /^(text|prompt|positive|negative|string|value|caption|filename_prefix)$|_(text|prompt)$|^(text|prompt)_/;

/** What an instance must have to run the graph. `fleet`: what the instances have, by which inputs of models are told. */
export function needsOf(
  graph: Graph,
  fleet: readonly { readonly inventory: Inventory | null }[] = [],
): Needs {
  const inventories = new Set(fleet.map(({ inventory }) => inventory));
  const known = [...inventories].filter((inventory) => inventory !== null).map(indexOf);
  const uses = new Map<string, ModelUse>();
  for (const node of liveNodes(graph, (nodeType) => mayEnd(known, nodeType))) {
    for (const [input, value] of Object.entries(node.inputs)) {
      if (isLink(value)) continue;
      for (const { name, text } of textsIn(input, value, 0)) {
        const place = placeOf(node.class_type, name);
        if (isNeed(known, place, name, text)) uses.set(`${place}\n${text}`, { input: place, model: text });
      }
    }
  }
  const sorted = [...uses.keys()].sort().map((key) => uses.get(key) as ModelUse);
  return {
    nodeTypes: distinct(Object.values(graph).map((node) => node.class_type)),
    models: distinct(sorted.map((use) => use.model)),
    ...(sorted.length > 0 && { uses: sorted }),
  };
}

/** A type that nobody knows may be one. */
function mayEnd(known: readonly Index[], nodeType: string): boolean {
  const who = known.filter((index) => index.nodeTypes.has(nodeType));
  return who.length === 0 || who.some(({ endTypes }) => endTypes?.has(nodeType) ?? true);
}

function isLink(value: Json): boolean {
  return (
    Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && typeof value[1] === 'number'
  );
}

const MAX_DEPTH = 4;

interface NamedText {
  /** The nearest name around it: `lora` in `lora_1: {on, lora, strength}`. */
  readonly name: string;
  readonly text: string;
}

/** A text, the texts of a list, or those inside an object: stacked loaders keep `{on, lora, strength}`, or lists of such. */
function* textsIn(name: string, value: Json, depth: number): Generator<NamedText> {
  if (typeof value === 'string') yield { name, text: value };
  if (typeof value !== 'object' || value === null || depth >= MAX_DEPTH) return;
  if (Array.isArray(value)) {
    for (const item of value) yield* textsIn(name, item, depth + 1);
    return;
  }
  const { on, active, enabled } = value;
  // switched off: the node does not load it
  if ([on, active, enabled].includes(false)) return;
  for (const [key, inner] of Object.entries(value)) {
    // ComfyUI's way to write a list that is no link
    yield* textsIn(key === '__value__' ? name : key, inner, depth + 1);
  }
}

function isNeed(known: readonly Index[], place: Place, name: string, text: string): boolean {
  if (!isName(text) || isNoModel(text)) return false;
  if (known.some((index) => index.offers.has(place))) return true;
  if (known.some((index) => index.texts.has(place))) return false;
  return !FREE_TEXT_INPUT.test(name) && isModelFileName(text);
}

/** The input chooses a model there; by its name, when nothing is known of the instance. */
export function choosesModel(inventory: Inventory | null, place: Place): boolean {
  return inventory?.inputs ? indexOf(inventory).offers.has(place) : soundsLikeModel(place);
}

/** A short stable name of a class of needs; equal needs have equal keys on every replica. */
export function needsKey({ nodeTypes, models, uses = [] }: Needs): string {
  const places = uses.map(({ input, model }) => `${input}\n${model}`);
  const parts = [[...nodeTypes].sort(), [...models].sort(), ...(places.length > 0 ? [places.sort()] : [])];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

/** What an instance lacks. An inventory that was not read yet (null) lacks nothing: the instance may be able. */
export function missingFrom(needs: Needs, inventory: Inventory | null): Needs {
  if (!inventory) return { nodeTypes: [], models: [] };
  const index = indexOf(inventory);
  const { nodeTypes, models, uses = [] } = needs;
  const named = new Set(uses.map((use) => use.model));
  const lacking = new Set(uses.filter((use) => !has(index, use)).map((use) => use.model));
  return {
    nodeTypes: nodeTypes.filter((nodeType) => !index.nodeTypes.has(nodeType)),
    models: models.filter((model) => (named.has(model) ? lacking.has(model) : !index.names.has(model))),
  };
}

function has(index: Index, { input, model }: ModelUse): boolean {
  const offered = index.offers.get(input);
  if (offered) return offered.has(model);
  // an input that is not known here: names that do not end like a file cannot be judged, the instance will say
  if (index.texts.has(input) || !isModelFileName(model)) return true;
  const folder = index.folders.get(folderOf(input) ?? '');
  if (!folder) return index.names.has(model);
  return folder.has(model) || index.folders.get('other')?.has(model) === true;
}

/** An inventory ready to be asked. */
interface Index {
  readonly nodeTypes: ReadonlySet<string>;
  /** Models of all kinds. */
  readonly names: ReadonlySet<string>;
  readonly folders: ReadonlyMap<string, ReadonlySet<string>>;
  readonly offers: ReadonlyMap<Place, ReadonlySet<string>>;
  readonly texts: ReadonlySet<Place>;
  readonly endTypes: ReadonlySet<string> | null;
}

/** An inventory never changes, and everybody asks again and again. */
const indexes = new WeakMap<Inventory, Index>();

function indexOf(inventory: Inventory): Index {
  const known = indexes.get(inventory);
  if (known) return known;
  const { lists = [], offers = {}, texts = [], endTypes = null } = inventory.inputs ?? {};
  const choices = lists.map((list) => new Set(list));
  const folders = new Map<string, Set<string>>();
  const folder = (name: string): Set<string> => {
    const names = folders.get(name) ?? new Set();
    folders.set(name, names);
    return names;
  };
  for (const { kind, name } of inventory.models) folder(kind).add(name);
  // a folder may be empty
  for (const place of Object.keys(offers)) folder(folderOf(place) ?? 'other');
  const index: Index = {
    nodeTypes: new Set(inventory.nodeTypes),
    names: new Set(inventory.models.map((model) => model.name)),
    folders,
    offers: new Map(Object.entries(offers).map(([place, list]) => [place, choices[list] ?? new Set()])),
    texts: new Set(texts),
    endTypes: endTypes && new Set(endTypes),
  };
  indexes.set(inventory, index);
  return index;
}

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
