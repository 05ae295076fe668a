/**
 * Finds the programs that tests need: commands of this machine, else images of Docker, else what apt installs. Nobody is
 * left to guess: when none of these works, the error says what to do.
 */
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { aptInstall, hasApt } from './apt.ts';
import { dockerAnswers } from './container.ts';

/** A program by the names it has in the places where it may come from. */
export interface Wanted {
  /** For people. */
  readonly name: string;
  /** All of them are needed. */
  readonly commands: readonly string[];
  /** Where they may lie beside PATH; a last-but-one part with a star stands for versions, of which the newest is taken. */
  readonly folders?: readonly string[];
  /** Of Debian and Ubuntu. */
  readonly packages: readonly string[];
  /** Of Docker, where it serves as well. */
  readonly image?: string;
}

export type Found =
  | { readonly kind: 'commands'; readonly paths: Readonly<Record<string, string>> }
  | { readonly kind: 'image'; readonly image: string };

/** What can be done on a machine. */
export interface Machine {
  /** Folders with commands. */
  readonly folders: readonly string[];
  /** Whether a Docker engine answers. */
  docker(): Promise<boolean>;
  /** Undefined: packages cannot or may not be installed. */
  readonly install: ((packages: readonly string[], say: (line: string) => void) => Promise<void>) | undefined;
}

/** Where servers lie that are not on everybody's PATH. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

/** TEST_INSTALL=0 forbids that anything is installed. */
export function thisMachine(env: Readonly<Record<string, string | undefined>> = process.env): Machine {
  const mayInstall = env.TEST_INSTALL !== '0' && process.getuid?.() === 0 && hasApt();
  return {
    folders: [...(env.PATH ?? '').split(delimiter).filter(Boolean), ...SYSTEM_FOLDERS],
    docker: dockerAnswers,
    install: mayInstall ? aptInstall : undefined,
  };
}

/** In the order in which they were asked for. @throws Error that says what to do when one cannot be had. */
export async function findPrograms(
  wanted: readonly Wanted[],
  machine: Machine = thisMachine(),
  say: (line: string) => void = console.log,
): Promise<Found[]> {
  const missing = wanted.filter((program) => !commandsOf(program, machine));
  const docker = missing.some(({ image }) => image !== undefined) && (await machine.docker());
  const lacking = missing.filter(({ image }) => !docker || image === undefined);
  if (lacking.length > 0 && machine.install) {
    const packages = lacking.flatMap((program) => program.packages);
    say(`the tests need ${namesOf(lacking)}, which this machine lacks: installing ${packages.join(', ')}`);
    await machine.install(packages, say);
  }
  const found = wanted.map((program) => commandsOf(program, machine) ?? imageOf(program, docker));
  const nowhere = wanted.filter((_, n) => found[n] === undefined);
  if (nowhere.length > 0) throw new Error(adviceFor(nowhere));
  return found.filter((one) => one !== undefined);
}

function imageOf({ image }: Wanted, docker: boolean): Found | undefined {
  return docker && image !== undefined ? { kind: 'image', image } : undefined;
}

function commandsOf({ commands, folders = [] }: Wanted, machine: Machine): Found | undefined {
  const places = [...folders.flatMap(versions), ...machine.folders];
  const paths: Record<string, string> = {};
  for (const command of commands) {
    const path = places.map((folder) => join(folder, command)).find(isExecutable);
    if (path === undefined) return undefined;
    paths[command] = path;
  }
  return { kind: 'commands', paths };
}

/** Newest first. */
function versions(pattern: string): string[] {
  const star = dirname(pattern);
  if (!star.includes('*')) return [pattern];
  const [before = '', after = ''] = basename(star).split('*');
  const parent = dirname(star);
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .filter((name) => name.startsWith(before) && name.endsWith(after))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
    .map((name) => join(parent, name, basename(pattern)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function adviceFor(wanted: readonly Wanted[]): string {
  const packages = wanted.flatMap((program) => program.packages).join(' ');
  const commands = wanted.flatMap((program) => program.commands).join(', ');
  const dockers = wanted.every(({ image }) => image !== undefined);
  return [
    `The tests need ${namesOf(wanted)} (${commands}), and found none on PATH or in the usual places. Do one of these:`,
    `  - install: apt-get install ${packages} (on other systems the packages of these names)`,
    ...(dockers ? ['  - start Docker, so that `docker info` answers'] : []),
    '  - for Postgres and Redis: name servers that tests may use, DATABASE_URL=postgres://... REDIS_URL=redis://...',
    '  - as root on Debian or Ubuntu: unset TEST_INSTALL, and the tests install them with apt',
  ].join('\n');
}

function namesOf(wanted: readonly Wanted[]): string {
  return wanted.map(({ name }) => name).join(' and ');
}
