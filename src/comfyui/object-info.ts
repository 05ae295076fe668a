/**
 * GET /object_info: which nodes an instance has, what each of its inputs offers, and which inputs take an uploaded file.
 * An input is one of a model when one of its choices is called like a model file, when it is called like one that takes
 * a model, or when all it offers is to take none. Empty lists say nothing: many are filled in by a page.
 */
import type { InputLists, Inventory, ModelFile } from '../domain/capabilities.ts';
import {
  folderOf,
  isModelFileName,
  isNoModel,
  type Place,
  placeOf,
  soundsLikeModel,
} from '../domain/model-files.ts';
import { isObject, type Json } from '../lib/json.ts';

export interface ObjectInfo {
  readonly inventory: Inventory;
  readonly uploadInputs: readonly UploadInput[];
}

/** An input that names a file of the instance's input folder, offered with an upload button in ComfyUI's own page. */
export interface UploadInput {
  readonly nodeType: string;
  readonly input: string;
}

/** What an input takes, as far as it matters here. */
type Taken =
  | { readonly kind: 'upload' | 'text' }
  | { readonly kind: 'choices'; readonly choices: readonly string[] }
  | { readonly kind: 'other' };

interface Input {
  readonly nodeType: string;
  readonly input: string;
  readonly taken: Taken;
}

const UPLOAD_MARKS = ['image_upload', 'video_upload', 'audio_upload', 'file_upload', 'animated_image_upload'];

/** Null when the answer is not an object; a node that cannot be read keeps its name and offers nothing. */
export function parseObjectInfo(value: Json): ObjectInfo | null {
  if (!isObject(value)) return null;
  const inputs = Object.entries(value).flatMap(([nodeType, node]) =>
    inputsOf(node).map(({ input, taken }): Input => ({ nodeType, input, taken })),
  );
  const offers = new Map<Place, readonly string[]>();
  const texts: Place[] = [];
  for (const { nodeType, input, taken } of inputs) {
    const place = placeOf(nodeType, input);
    if (taken.kind === 'upload' || taken.kind === 'text') texts.push(place);
    // an input that comes with several choices of another one is listed with each of them
    if (taken.kind === 'choices' && choosesModel(place, taken.choices))
      offers.set(place, [...(offers.get(place) ?? []), ...taken.choices]);
  }
  return {
    inventory: {
      nodeTypes: Object.keys(value).sort(),
      models: distinct([...offers].flatMap(([place, choices]) => modelsIn(place, choices))),
      inputs: { ...inputLists(offers, texts), endTypes: endTypesIn(value) },
    },
    uploadInputs: inputs
      .filter(({ taken }) => taken.kind === 'upload')
      .map(({ nodeType, input }) => ({ nodeType, input })),
  };
}

/** A list of names, as GET /embeddings answers; null when it is none. */
export function parseNames(value: Json): readonly string[] | null {
  return Array.isArray(value) ? value.filter((name): name is string => typeof name === 'string') : null;
}

/** Adds the embeddings, which no input offers: prompts name them. @param names as GET /embeddings lists them. */
export function withEmbeddings(inventory: Inventory, names: readonly string[]): Inventory {
  const embeddings = names.map((name): ModelFile => ({ kind: 'embeddings', name }));
  return { ...inventory, models: distinct([...inventory.models, ...embeddings]) };
}

/** Output nodes, as ComfyUI calls them. */
function endTypesIn(nodes: Record<string, unknown>): string[] {
  const isEnd = (node: unknown): boolean => isObject(node) && node.output_node === true;
  return Object.keys(nodes)
    .filter((nodeType) => isEnd(nodes[nodeType]))
    .sort();
}

/** Inputs of one node, those the server fills in itself as well. */
function inputsOf(node: unknown): { input: string; taken: Taken }[] {
  const groups = isObject(node) && isObject(node.input) ? node.input : {};
  const hidden = isObject(groups.hidden) ? Object.keys(groups.hidden) : [];
  return [
    ...[groups.required, groups.optional].flatMap((group) => groupInputs(group, '')),
    ...hidden.map((input) => ({ input, taken: { kind: 'text' } as const })),
  ];
}

/** @param prefix of inputs that come with a choice of another one: `choice.` */
function groupInputs(group: unknown, prefix: string): { input: string; taken: Taken }[] {
  if (!isObject(group)) return [];
  return Object.entries(group).flatMap(([name, spec]) => {
    if (!Array.isArray(spec)) return [];
    const input = `${prefix}${name}`;
    const [type, given] = spec as unknown[];
    const options = isObject(given) ? given : {};
    return [{ input, taken: takenBy(type, options) }, ...innerInputs(input, options)];
  });
}

function takenBy(type: unknown, options: Record<string, unknown>): Taken {
  if (UPLOAD_MARKS.some((mark) => options[mark] === true)) return { kind: 'upload' };
  // the newer form is ["COMBO", {options: [...]}]; with `remote` instead, the choices are not here
  const list = Array.isArray(type) ? type : options.options;
  if (Array.isArray(list)) return { kind: 'choices', choices: list.flatMap(choiceName) };
  return typeof type === 'string' && type.split(',').includes('STRING')
    ? { kind: 'text' }
    : { kind: 'other' };
}

/** A choice is its text, or an object where inputs of its own come with it. */
function choiceName(choice: unknown): string[] {
  const name = isObject(choice) ? choice.key : choice;
  return typeof name === 'string' ? [name] : [];
}

function innerInputs(input: string, { options }: Record<string, unknown>): { input: string; taken: Taken }[] {
  if (!Array.isArray(options)) return [];
  const withInputs = options.filter(isObject).map((choice) => choice.inputs);
  return withInputs
    .filter(isObject)
    .flatMap((groups) =>
      [groups.required, groups.optional].flatMap((group) => groupInputs(group, `${input}.`)),
    );
}

function choosesModel(place: Place, choices: readonly string[]): boolean {
  const isNoneAtAll = choices.length > 0 && choices.every(isNoModel);
  return choices.some(isModelFileName) || isNoneAtAll || soundsLikeModel(place);
}

/** The files among the choices; where none looks like one, those of a known folder: models that are folders themselves. */
function modelsIn(place: Place, choices: readonly string[]): ModelFile[] {
  const folder = folderOf(place);
  const files = choices.filter(isModelFileName);
  const names = files.length > 0 || folder === null ? files : choices.filter((choice) => !isNoModel(choice));
  return names.map((name) => ({ kind: folder ?? 'other', name }));
}

/** The same for equal instances, whatever order they list things in. */
function inputLists(offers: ReadonlyMap<Place, readonly string[]>, texts: readonly Place[]): InputLists {
  const lists = new Map<string, { readonly index: number; readonly names: readonly string[] }>();
  const sorted = [...offers].sort(([a], [b]) => compare(a, b));
  const indexes = sorted.map(([place, choices]): [Place, number] => {
    const names = [...new Set(choices)].sort();
    const key = JSON.stringify(names);
    const list = lists.get(key) ?? { index: lists.size, names };
    lists.set(key, list);
    return [place, list.index];
  });
  return {
    lists: [...lists.values()].map(({ names }) => names),
    offers: Object.fromEntries(indexes),
    texts: [...new Set(texts)].sort(),
  };
}

/** Each (kind, name) once, sorted; `other` only for files that no known kind has. */
function distinct(models: readonly ModelFile[]): ModelFile[] {
  const sorted = [...new Map(models.map((model) => [`${model.kind}/${model.name}`, model])).values()].sort(
    (a, b) => compare(a.kind, b.kind) || compare(a.name, b.name),
  );
  const known = new Set(sorted.filter((model) => model.kind !== 'other').map((model) => model.name));
  return sorted.filter((model) => model.kind !== 'other' || !known.has(model.name));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
