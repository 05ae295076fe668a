/** The three folders of a ComfyUI (input, output, temp): numbered saving, finding, and which names may be asked for. */
import { writeFile as writeFileCallback } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, normalize, relative, resolve, sep } from 'node:path';
import { promisify } from 'node:util';
import type { SavedEntry, SavedFile } from './node-class.ts';
import { PythonError } from './python-error.ts';

/** Much cheaper than the one of fs/promises, which makes a file handle each time. */
const writeFile = promisify(writeFileCallback);

export type FolderType = 'input' | 'output' | 'temp';
const TYPES: readonly string[] = ['input', 'output', 'temp'];

export function isFolderType(value: string): value is FolderType {
  return TYPES.includes(value);
}

/** "name [input]" names its folder itself. */
export function annotated(name: string): { name: string; type: FolderType | undefined } {
  for (const type of ['output', 'input', 'temp'] as const) {
    if (name.endsWith(`[${type}]`)) return { name: name.slice(0, -(type.length + 3)), type };
  }
  return { name, type: undefined };
}

export class Files {
  readonly root: string;
  /** Highest number given so far by "folder/prefix"; filled from the folder on first use. */
  private readonly counters = new Map<string, number>();

  constructor(root: string) {
    this.root = resolve(root);
  }

  folder(type: FolderType): string {
    return join(this.root, type);
  }

  /** Makes the folders; the temp folder starts empty. */
  async prepare(): Promise<void> {
    await rm(this.folder('temp'), { recursive: true, force: true });
    for (const type of ['input', 'output', 'temp'] as const)
      await mkdir(this.folder(type), { recursive: true });
    this.counters.clear();
  }

  /** Somebody else wrote files: numbers are looked up in the folders again. */
  forgetNumbers(): void {
    this.counters.clear();
  }

  async clearTemp(): Promise<void> {
    await rm(this.folder('temp'), { recursive: true, force: true });
  }

  /** Writes `prefix_00001_.ext` under the next free number; the prefix may name subfolders and hold %tokens%. */
  async save(file: SavedFile, now: Date): Promise<SavedEntry> {
    const base = this.folder(file.type);
    const prefix = normalize(fillTokens(file.prefix, file.size, now));
    const subfolder = dirname(prefix) === '.' ? '' : dirname(prefix);
    const name = basename(prefix);
    const folder = join(base, subfolder);
    if (folder !== base && !folder.startsWith(base + sep)) {
      throw new PythonError(
        'Exception',
        `**** ERROR: Saving image outside the output folder is not allowed.\n full_output_folder: ${folder}`,
      );
    }
    if (file.exactName) {
      await mkdir(folder, { recursive: true });
      const filename = `${name}.${file.extension}`;
      await writeFile(join(folder, filename), file.bytes);
      return { filename, subfolder, type: file.type };
    }
    const key = `${folder}\0${name.toLowerCase()}`;
    if (!this.counters.has(key)) {
      const highest = await highestNumber(folder, name);
      if (!this.counters.has(key)) this.counters.set(key, highest);
    }
    const number = (this.counters.get(key) ?? 0) + 1;
    this.counters.set(key, number);
    const filename = `${name}_${String(number).padStart(5, '0')}_.${file.extension}`;
    await writeFile(join(folder, filename), file.bytes);
    return { filename, subfolder, type: file.type };
  }

  /** The path of an existing file below the folder; undefined when there is none or the name leaves the folder. */
  async find(type: FolderType, name: string): Promise<string | undefined> {
    const base = this.folder(type);
    const path = resolve(base, name);
    if (!isBelow(base, path)) return undefined;
    return (await isFile(path)) ? path : undefined;
  }

  /** Names of the files directly in the folder, sorted. */
  async list(type: FolderType): Promise<string[]> {
    const entries = await readdir(this.folder(type), { withFileTypes: true }).catch(() => []);
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
      .sort();
  }
}

export function isBelow(base: string, path: string): boolean {
  const way = relative(base, path);
  return way === '' || (!way.startsWith('..') && !way.startsWith(sep));
}

export async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ?? false;
}

/** Reads a whole file; undefined when it does not exist. */
export function readIfThere(path: string): Promise<Buffer | undefined> {
  return readFile(path).catch(() => undefined);
}

async function highestNumber(folder: string, name: string): Promise<number> {
  await mkdir(folder, { recursive: true });
  let highest = 0;
  for (const file of await readdir(folder)) {
    if (!file.toLowerCase().startsWith(`${name.toLowerCase()}_`)) continue;
    const number = Number.parseInt(file.slice(name.length + 1).split('_')[0] ?? '', 10);
    if (number > highest) highest = number;
  }
  return highest;
}

function fillTokens(prefix: string, size: SavedFile['size'], now: Date): string {
  if (!prefix.includes('%')) return prefix;
  const two = (value: number): string => String(value).padStart(2, '0');
  return prefix
    .replaceAll('%width%', String(size?.width ?? 0))
    .replaceAll('%height%', String(size?.height ?? 0))
    .replaceAll('%year%', String(now.getFullYear()))
    .replaceAll('%month%', two(now.getMonth() + 1))
    .replaceAll('%day%', two(now.getDate()))
    .replaceAll('%hour%', two(now.getHours()))
    .replaceAll('%minute%', two(now.getMinutes()))
    .replaceAll('%second%', two(now.getSeconds()));
}
