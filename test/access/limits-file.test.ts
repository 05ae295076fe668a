import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LimitsFile } from '../../src/access/limits-file.ts';
import { ConfigError } from '../../src/config.ts';
import { NO_LIMITS } from '../../src/domain/tenant-limits.ts';
import { eventually } from '../support/eventually.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const WEIGHT = (weight: number): string => JSON.stringify({ tenants: { acme: { weight } } });

let folder: string;
let path: string;
let clock: VirtualClock;
let logged: { level: number; problems?: string[] }[];
let changes: number;
const running: LimitsFile[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'comfyfleet-limits-'));
  path = join(folder, 'limits.json');
  clock = new VirtualClock();
  logged = [];
  changes = 0;
});
afterEach(async () => {
  for (const file of running.splice(0)) await file.stop();
  await rm(folder, { recursive: true, force: true });
});

/** At one moment, as a good editor does. */
async function replace(text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

function open(at = path): LimitsFile {
  return openWith(at);
}

function openWith(at: string | undefined): LimitsFile {
  const logger = pino({ level: 'info' }, { write: (line: string) => void logged.push(JSON.parse(line)) });
  const file = new LimitsFile({ path: at, clock, logger });
  file.onChange(() => changes++);
  running.push(file);
  return file;
}

async function started(text: string): Promise<LimitsFile> {
  await writeFile(path, text);
  const file = open();
  await file.start();
  return file;
}

/** Lets time pass, a look at the file at a time, until the condition holds. */
const passing = (condition: () => boolean): Promise<unknown> =>
  eventually(() => {
    clock.advance(2000);
    return condition();
  });

const weightOf = (file: LimitsFile): number => file.limitsOf('acme').weight;
const errors = () => logged.filter(({ level }) => level === 50);

describe('a file of limits', () => {
  it('rules from the start, before anything is started', async () => {
    await writeFile(path, WEIGHT(3));
    expect(weightOf(open())).toBe(3);
  });

  it('is not needed', async () => {
    const file = openWith(undefined);
    await file.start();
    expect(file.limitsOf('acme')).toEqual(NO_LIMITS);
  });

  it('that is wrong at the start is an error that names the variable, the file and every problem', async () => {
    await writeFile(path, '{"default": {"weight": 0}, "tenant": {}}');
    expect(() => open()).toThrow(ConfigError);
    expect(() => open()).toThrow(
      new RegExp(`TENANT_LIMITS_FILE: ${path} has 2 problem.*default\\.weight.*"tenant"`, 's'),
    );
  });

  it('that is not there at the start is an error too', () => {
    expect(() => open()).toThrow(/TENANT_LIMITS_FILE: .*\n {2}cannot be read \(ENOENT\)/);
  });

  it('that is written anew is in force within two seconds, and whoever listens is told once', async () => {
    const file = await started(WEIGHT(3));
    await replace(WEIGHT(5));
    await passing(() => weightOf(file) === 5);
    await passing(() => changes === 1);
    clock.advance(20_000);
    expect([changes, errors()]).toEqual([1, []]);
  });

  it('is followed when the link to it changes, as a ConfigMap does', async () => {
    for (const version of ['v1', 'v2']) await mkdir(join(folder, version));
    await writeFile(join(folder, 'v1', 'limits.json'), WEIGHT(3));
    await writeFile(join(folder, 'v2', 'limits.json'), WEIGHT(5));
    await symlink('v1', join(folder, 'data'));
    const file = open(join(folder, 'data', 'limits.json'));
    await file.start();
    expect(weightOf(file)).toBe(3);
    await symlink('v2', join(folder, 'next'));
    await rename(join(folder, 'next'), join(folder, 'data'));
    await passing(() => weightOf(file) === 5);
  });

  it.each([
    ['wrong', () => replace('{"tenants": {"acme": {"weight": 0}}}'), 'tenants.acme.weight: must be'],
    ['half written', () => replace('{"tenants": {"ac'), 'is not JSON'],
    ['removed', () => rm(path), 'cannot be read (ENOENT)'],
  ])('that is %s later changes nothing, and is logged once', async (_how, change, problem) => {
    const file = await started(WEIGHT(3));
    await change();
    await passing(() => errors().length > 0);
    for (let look = 0; look < 5; look++) await passing(() => true);
    expect(weightOf(file)).toBe(3);
    expect(changes).toBe(0);
    await replace(WEIGHT(7));
    await passing(() => weightOf(file) === 7);
    expect(errors()).toHaveLength(1);
    expect(errors()[0]?.problems).toEqual([expect.stringContaining(problem)]);
  });

  it('is read no more once stopped', async () => {
    const file = await started(WEIGHT(3));
    await file.stop();
    await writeFile(path, WEIGHT(5));
    clock.advance(60_000);
    expect(clock.pending).toBe(0);
    expect(weightOf(file)).toBe(3);
  });
});
