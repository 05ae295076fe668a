import { describe, expect, it } from 'vitest';
import { type Service, startAll, stopAll } from '../../src/lib/service.ts';

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
