/** Where lines go: stdout as JSON or for people, and files that are rotated, kept private, and never in the way. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { LogFile } from '../../src/lib/log-file.ts';
import { type LogOptions, openLog } from '../../src/lib/log-output.ts';
import { eventually } from '../support/eventually.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'comfyfleet-log-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function rig(options: Partial<LogOptions> = {}) {
  const shown: string[] = [];
  const stdout = { write: (line: string) => void shown.push(line) };
  const log = openLog({
    ...{ level: 'info', format: 'json', dir: undefined, clock: systemClock, colours: false, stdout },
    ...options,
  });
  return { ...log, shown, messages: () => shown.map((line) => JSON.parse(line).msg) };
}

const messagesIn = (path: string): string[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line).msg);

describe('stdout', () => {
  it('shows lines to people, one each, with errors below', () => {
    const { logger, shown } = rig({ format: 'pretty' });
    logger.info({ job: 'j1' }, 'a job is queued');
    logger.error({ err: new Error('it broke') }, 'a step failed');
    expect(shown[0]).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: a job is queued \{"job":"j1"\}\n$/);
    expect(shown[1]).toContain('it broke');
    expect(shown[1]).toMatch(/\n +at .*log-output\.test\.ts/);
  });

  it('lets no line move the cursor of a terminal', () => {
    const { logger, shown } = rig({ format: 'pretty' });
    logger.info({ userAgent: 'x\u001b[2Jy' }, 'request');
    expect(shown.join('')).not.toContain('\u001b');
  });
});

describe('files', () => {
  it('hold all lines, and the errors once more, when the log is closed; nobody else can read them', async () => {
    const dir = join(folder(), 'made', 'for-it');
    const { logger, close, messages } = rig({ dir, level: 'debug' });
    logger.debug('one');
    logger.error('two');
    logger.fatal('three');
    await close();
    expect(messages()).toEqual(['one', 'two', 'three']);
    expect(messagesIn(join(dir, 'combined.log'))).toEqual(['one', 'two', 'three']);
    expect(messagesIn(join(dir, 'error.log'))).toEqual(['two', 'three']);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    for (const name of ['combined.log', 'error.log'])
      expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
  });

  it('go on where the last process left off', async () => {
    const dir = folder();
    for (const word of ['first', 'second']) {
      const { logger, close } = rig({ dir });
      logger.info(word);
      await close();
    }
    expect(messagesIn(join(dir, 'combined.log'))).toEqual(['first', 'second']);
  });

  it('take no lower level than is configured', async () => {
    const dir = folder();
    const { logger, close } = rig({ dir, level: 'warn' });
    logger.info('one');
    logger.warn('two');
    await close();
    expect(messagesIn(join(dir, 'combined.log'))).toEqual(['two']);
  });

  it('are put aside when they are full, the five newest are kept, and no line between is lost', async () => {
    const dir = folder();
    const fail = (error: Error) => expect.unreachable(error.message);
    const file = new LogFile({
      ...{ dir, name: 'a.log', clock: systemClock, maxBytes: 1000 },
      ...{ onBroken: fail, onRepaired: () => undefined },
    });
    const lines = Array.from({ length: 200 }, (_, index) => `line ${index}`.padEnd(99));
    for (const line of lines) file.write(`${line}\n`);
    await file.close();
    const names = ['a.log.5', 'a.log.4', 'a.log.3', 'a.log.2', 'a.log.1', 'a.log'];
    expect(readdirSync(dir).sort()).toEqual(names.toReversed());
    const kept = names.flatMap((name) => readFileSync(join(dir, name), 'utf8').split('\n').filter(Boolean));
    expect(kept).toEqual(lines.slice(-kept.length));
    expect(kept.length).toBeGreaterThanOrEqual(50);
    for (const name of names) expect(statSync(join(dir, name)).size).toBeLessThanOrEqual(1000);
  });

  it('are 5 MB large', async () => {
    const dir = folder();
    writeFileSync(join(dir, 'combined.log'), Buffer.alloc(5 * 2 ** 20 - 10, '\n'));
    const { logger, close } = rig({ dir });
    logger.info('the last of the old');
    logger.info('the first of the new');
    await close();
    expect(messagesIn(join(dir, 'combined.log.1'))).toEqual(['the last of the old']);
    expect(messagesIn(join(dir, 'combined.log'))).toEqual(['the first of the new']);
  });
});

describe('a file that cannot be written', () => {
  it('is told once for each, and stdout has every line', async () => {
    const dir = folder();
    // a folder where the file should be: root, who may write everywhere, cannot either
    mkdirSync(join(dir, 'combined.log'));
    const { logger, close, messages, shown } = rig({ dir });
    logger.info('one');
    await eventually(() => shown.length === 2);
    for (const word of ['two', 'three']) logger.info(word);
    await close();
    expect(messages()).toEqual(['one', 'a log file is not written: its lines are lost', 'two', 'three']);
    expect(JSON.parse(shown[1] ?? '')).toMatchObject({ level: 50, file: 'combined.log' });
    expect(messagesIn(join(dir, 'error.log'))).toEqual(['a log file is not written: its lines are lost']);
  });

  it('is no reason not to start, nor is a folder that cannot be made', async () => {
    const dir = join(folder(), 'a-file');
    writeFileSync(dir, '');
    const { logger, close, messages } = rig({ dir });
    logger.info('one');
    await close();
    expect(messages().slice(0, 2)).toEqual(['the folder LOG_DIR cannot be made', 'one']);
  });

  it('is written again when it can be, on a line of its own', async () => {
    const dir = folder();
    const clock = new VirtualClock();
    const told: string[] = [];
    const file = new LogFile({
      ...{ dir, name: 'a.log', clock },
      onBroken: () => void told.push('broken'),
      onRepaired: () => void told.push('repaired'),
    });
    mkdirSync(join(dir, 'a.log'));
    file.write('lost\n');
    await eventually(() => told.length === 1);
    rmSync(join(dir, 'a.log'), { recursive: true });
    writeFileSync(join(dir, 'a.log'), 'a line that ends');
    file.write('too soon\n');
    await clock.advance(10_000);
    file.write('kept\n');
    await eventually(() => told.length === 2);
    await file.close();
    expect(told).toEqual(['broken', 'repaired']);
    expect(readFileSync(join(dir, 'a.log'), 'utf8')).toBe('a line that ends\nkept\n');
  });
});
