/**
 * The program as plain JavaScript, so that a process that is killed a hundred times starts again in half a second. Kept
 * in a folder that is named by the sources, and made once for all who start the same program at the same time.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = join(ROOT, '.compiled');
/** What the program looks for beside the folder it lies in. */
const BESIDE = ['package.json', 'workflows', 'assets'];
/** Nothing runs that long on a program whose sources have changed since. */
const STALE_MS = 3_600_000;

interface Source {
  readonly file: string;
  readonly text: string;
}

/** What `node` is given: the path of main.js. Types are not looked at: the build does that. */
export async function compile(): Promise<string> {
  const sources = await readSources();
  const hash = createHash('sha256');
  for (const { file, text } of sources) hash.update(`${file}\0${text}\0`);
  const target = join(FOLDER, hash.digest('hex').slice(0, 16));
  if (!existsSync(target)) await make(sources, target);
  const now = new Date();
  await utimes(target, now, now);
  return join(target, 'dist', 'main.js');
}

async function readSources(): Promise<Source[]> {
  const files = (await readdir(join(ROOT, 'src'), { recursive: true })).filter((file) =>
    file.endsWith('.ts'),
  );
  return Promise.all(
    files.sort().map(async (file) => ({ file, text: await readFile(join(ROOT, 'src', file), 'utf8') })),
  );
}

/** Complete before it has its name, so that nobody starts half of it. */
async function make(sources: readonly Source[], target: string): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  await removeStale();
  const draft = await mkdtemp(join(FOLDER, 'draft-'));
  for (const { file, text } of sources) {
    const { outputText } = ts.transpileModule(text, { compilerOptions: OPTIONS, fileName: file });
    const path = join(draft, 'dist', file.replace(/\.ts$/, '.js'));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, outputText);
  }
  for (const name of BESIDE) await symlink(join(ROOT, name), join(draft, name));
  await rename(draft, target).catch(async (error: unknown) => {
    await rm(draft, { recursive: true });
    // another process was quicker
    if (!existsSync(target)) throw error;
  });
}

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
};

async function removeStale(): Promise<void> {
  for (const name of await readdir(FOLDER)) {
    // undefined: another process was quicker
    const found = await stat(join(FOLDER, name)).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > STALE_MS)
      await rm(join(FOLDER, name), { recursive: true, force: true });
  }
}
