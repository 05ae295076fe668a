import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { findPrograms, type Machine, thisMachine, type Wanted } from './programs.ts';

let folder: string;
const wanted: Wanted = { name: 'Squirrel', commands: ['squirreld', 'nut'], packages: ['squirrel-server'] };
const silent = (): void => undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'comfyfleet-programs-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
});

function put(...path: string[]): void {
  const file = join(folder, ...path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, 0o755);
}

function machine(change: Partial<Machine> = {}): Machine {
  return { folders: [folder], docker: async () => false, install: undefined, ...change };
}

it('takes the commands of the machine, and asks nobody else', async () => {
  put('squirreld');
  put('nut');
  const docker = (): never => {
    throw new Error('asked');
  };
  const found = await findPrograms([{ ...wanted, image: 'squirrel:1' }], machine({ docker }), silent);
  const paths = { squirreld: join(folder, 'squirreld'), nut: join(folder, 'nut') };
  expect(found).toEqual([{ kind: 'commands', paths }]);
});

it('takes the newest of several versions that lie side by side', async () => {
  for (const version of ['9', '15', '14']) for (const name of wanted.commands) put(version, 'bin', name);
  const folders = [join(folder, '*', 'bin')];
  const [found] = await findPrograms([{ ...wanted, folders }], machine({ folders: [] }), silent);
  expect(found).toMatchObject({ paths: { nut: join(folder, '15', 'bin', 'nut') } });
});

it('takes an image where Docker answers and a command is missing', async () => {
  put('squirreld');
  const docker = async (): Promise<boolean> => true;
  const found = await findPrograms([{ ...wanted, image: 'squirrel:1' }], machine({ docker }), silent);
  expect(found).toEqual([{ kind: 'image', image: 'squirrel:1' }]);
});

it('installs what is missing, all at once, after saying so', async () => {
  put('squirreld');
  put('nut');
  const installed: string[] = [];
  const said: string[] = [];
  const install = async (packages: readonly string[]): Promise<void> => {
    expect(said.join()).toContain('Weasel and Stoat');
    installed.push(...packages);
    for (const name of ['weasel', 'stoat']) put(name);
  };
  const others = ['Weasel', 'Stoat'].map((name) => {
    return { name, commands: [name.toLowerCase()], packages: [`${name.toLowerCase()}d`] };
  });
  const found = await findPrograms([wanted, ...others], machine({ install }), (line) => said.push(line));
  expect(installed).toEqual(['weaseld', 'stoatd']);
  expect(found.map(({ kind }) => kind)).toEqual(['commands', 'commands', 'commands']);
});

it('says on a bare machine what to do, and does not go on without', async () => {
  const bare = { ...thisMachine({ PATH: folder, TEST_INSTALL: '0' }), docker: async () => false };
  expect(bare.install).toBeUndefined();
  const asking = findPrograms([{ ...wanted, image: 'squirrel:1' }], bare, silent);
  await expect(asking).rejects.toThrow(
    /need Squirrel \(squirreld, nut\).*apt-get install squirrel-server.*start Docker.*TEST_INSTALL/s,
  );
});

it('does not take Docker for a program that has no image', async () => {
  const docker = async (): Promise<boolean> => true;
  await expect(findPrograms([wanted], machine({ docker }), silent)).rejects.toThrow('need Squirrel');
});
