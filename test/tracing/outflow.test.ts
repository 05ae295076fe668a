import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { Outflow } from '../../src/tracing/outflow.ts';

type Done = Parameters<SpanExporter['export']>[1];

function watched(most: number) {
  const lines: Record<string, unknown>[] = [];
  const pending: Done[] = [];
  const logger = createLogger('debug', { write: (line: string) => void lines.push(JSON.parse(line)) });
  const exporter = {
    export: (_spans: unknown, done: Done) => void pending.push(done),
    shutdown: async () => undefined,
  };
  const outflow = new Outflow(exporter, most, logger);
  const send = (count: number): void =>
    outflow.export(
      Array.from({ length: count }, () => ({}) as ReadableSpan),
      () => undefined,
    );
  const answer = (error?: Error): void => pending.shift()?.(error ? { code: 1, error } : { code: 0 });
  return { outflow, send, answer, lines };
}

describe('what is on its way to the collector', () => {
  it('is bounded: more is lost until some arrived', () => {
    const { outflow, send, answer } = watched(2);
    expect([outflow.admit(), outflow.admit(), outflow.admit()]).toEqual([true, true, false]);
    send(2);
    expect(outflow.admit()).toBe(false);
    answer();
    expect(outflow.admit()).toBe(true);
  });

  it('is free again also when the collector did not take it', () => {
    const { outflow, send, answer } = watched(1);
    outflow.admit();
    send(1);
    answer(new Error('no'));
    expect(outflow.admit()).toBe(true);
  });

  it('says once that spans are lost, and how many when it is over', () => {
    const { outflow, send, answer, lines } = watched(3);
    for (let n = 0; n < 4; n++) outflow.admit();
    send(2);
    answer(new Error('connect ECONNREFUSED'));
    expect(lines).toMatchObject([{ level: 40, reason: 'the collector is too slow' }]);
    send(1);
    answer();
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatchObject({ level: 30, lost: 3 });
    outflow.admit();
    send(1);
    answer(new Error('connect ECONNREFUSED'));
    expect(lines[2]).toMatchObject({ level: 40, reason: 'connect ECONNREFUSED' });
  });
});
