import { describe, expect, it } from 'vitest';
import { type Service, startAll, stopAll, together } from '../../src/lib/service.ts';
import { flush } from '../support/virtual-clock.ts';

function recording(log: string[], name: string, failsTo?: 'start' | 'stop'): Service {
  const act = (verb: 'start' | 'stop') => async () => {
    if (failsTo === verb) throw new Error(`${name} does not ${verb}`);
    log.push(`${verb} ${name}`);
  };
  return { start: act('start'), stop: act('stop') };
}

describe('startAll', () => {
  it('starts in order', async () => {
    const log: string[] = [];
    await startAll([recording(log, 'a'), recording(log, 'b')]);
    expect(log).toEqual(['start a', 'start b']);
  });

  it('stops what had started, in reverse, when one does not start', async () => {
    const log: string[] = [];
    const services = [recording(log, 'a'), recording(log, 'b'), recording(log, 'c', 'start')];
    await expect(startAll(services)).rejects.toThrow('c does not start');
    expect(log).toEqual(['start a', 'start b', 'stop b', 'stop a']);
  });
});

describe('stopAll', () => {
  it('stops the others when one does not stop, then throws', async () => {
    const log: string[] = [];
    const services = [recording(log, 'a'), recording(log, 'b', 'stop'), recording(log, 'c')];
    await expect(stopAll(services)).rejects.toThrow('b does not stop');
    expect(log).toEqual(['stop c', 'stop a']);
  });
});

describe('services that stop together', () => {
  it('start in order, and what started is stopped when one does not start', async () => {
    const log: string[] = [];
    await together([recording(log, 'a'), recording(log, 'b')]).start();
    expect(log).toEqual(['start a', 'start b']);
    const failing = together([recording(log, 'c'), recording(log, 'd', 'start')]);
    await expect(failing.start()).rejects.toThrow('d does not start');
    expect(log.slice(2)).toEqual(['start c', 'stop c']);
  });

  it('do not wait for each other to stop, and have stopped once all have', async () => {
    const log: string[] = [];
    let finish = (): void => undefined;
    const lastStep = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const slow: Service = { ...recording(log, 'slow'), stop: () => lastStep };
    const stopped = together([recording(log, 'quick'), slow])
      .stop()
      .then(() => log.push('all'));
    await flush();
    expect(log).toEqual(['stop quick']);
    finish();
    await stopped;
    expect(log).toEqual(['stop quick', 'all']);
  });

  it('say what went wrong once all have ended', async () => {
    const log: string[] = [];
    const both = together([recording(log, 'a', 'stop'), recording(log, 'b')]);
    await expect(both.stop()).rejects.toThrow('a does not stop');
    expect(log).toEqual(['stop b']);
  });
});
