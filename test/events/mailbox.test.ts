import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BusSignal } from '../../src/events/bus.ts';
import { Mailbox } from '../../src/events/mailbox.ts';
import type { BusMessage } from '../../src/events/messages.ts';
import { commentary, durable, hint, job, preview, progress } from './messages.ts';

function drain(mailbox: Mailbox): BusSignal[] {
  const signals: BusSignal[] = [];
  for (let signal = mailbox.take(); signal; signal = mailbox.take()) signals.push(signal);
  return signals;
}

function filled(limit: number, messages: readonly BusMessage[]): Mailbox {
  const mailbox = new Mailbox(limit);
  for (const message of messages) mailbox.put(message);
  return mailbox;
}

const GAP = { kind: 'gap' };

describe('Mailbox', () => {
  it('hands out messages in the order they came', () => {
    const messages = [durable('a', 1), commentary('a', '4'), durable('b', 1), durable('a', 2)];
    expect(drain(filled(8, messages))).toEqual(messages);
  });

  it('lets newer progress replace older of the same job only, behind what was published between', () => {
    const messages = [progress('a', 0.1), progress('b', 0.1), durable('a', 2), progress('a', 0.2, 2)];
    expect(drain(filled(8, messages))).toEqual([progress('b', 0.1), durable('a', 2), progress('a', 0.2, 2)]);
  });

  it('leaves progress before the durable event that followed it', () => {
    const messages = [progress('a', 0.9), durable('a', 2)];
    expect(drain(filled(8, messages))).toEqual(messages);
  });

  it('says once that an instance, the queue or a hint is news', () => {
    const news: BusMessage[] = [
      { kind: 'instance', instanceId: 'x', at: 1 },
      { kind: 'instance', instanceId: 'y', at: 1 },
      { kind: 'queue', at: 1 },
      hint('cancel-asked', 'a'),
      hint('cancel-asked', 'b'),
      hint('instances-changed'),
    ];
    expect(drain(filled(20, [...news, ...news]))).toEqual(news);
  });

  it('gives up the oldest commentary and previews before anything else', () => {
    const messages = [
      commentary('a', '1'),
      durable('a', 1),
      preview('a', 1),
      progress('a', 0.5),
      durable('a', 2),
      durable('a', 3),
    ];
    expect(drain(filled(5, messages))).toEqual(messages.slice(1));
    expect(drain(filled(4, messages))).toEqual([1, 3, 4, 5].map((index) => messages[index]));
    expect(drain(filled(3, messages))).toEqual([GAP]);
  });

  it('says why a message is not handed out', () => {
    const { dropped } = play(2, [
      { jobId: 'a', change: 'progress' },
      { jobId: 'a', change: 'progress' },
      { jobId: 'a', change: 'node' },
      { jobId: 'a', change: 'durable' },
      { jobId: 'a', change: 'durable' },
    ]);
    expect(dropped).toEqual({ conflated: 1, expendable: 1, overflow: 3 });
  });

  it('does not give up a durable event for commentary', () => {
    const messages = [durable('a', 1), durable('a', 2)];
    expect(drain(filled(2, [...messages, commentary('a', '1'), preview('a', 1)]))).toEqual(messages);
  });

  it('becomes one gap when a durable event would be lost, and goes on behind it', () => {
    const mailbox = filled(2, [durable('a', 1), durable('a', 2), durable('a', 3)]);
    expect(mailbox.size).toBe(1);
    mailbox.put(durable('a', 4));
    expect(drain(mailbox)).toEqual([GAP, durable('a', 4)]);
  });

  it('holds at least one signal', () => {
    expect(() => new Mailbox(0)).toThrow('at least one');
    expect(drain(filled(1, [durable('a', 1), durable('a', 2)]))).toEqual([GAP]);
  });
});

const anyJob = fc.constantFrom('a', 'b', 'c');
const anyChange = fc.constantFrom('durable', 'progress', 'preview', 'node', 'deleted', 'instance');
const anyStep = fc.oneof(
  { weight: 4, arbitrary: fc.record({ jobId: anyJob, change: anyChange }) },
  { weight: 1, arbitrary: fc.constant('take' as const) },
);

/** Every message carries its number as seq, or inside, so that its place among all is known. */
function numbered(jobId: string, change: string, n: number): BusMessage {
  if (change === 'durable') return durable(jobId, n);
  if (change === 'progress') return progress(jobId, n, n);
  if (change === 'preview') return { ...preview(jobId, n), seq: n };
  if (change === 'node') return { ...commentary(jobId, `${n}`), seq: n };
  if (change === 'deleted') return job(jobId, n, { type: 'deleted' });
  return { kind: 'instance', instanceId: jobId, at: n };
}

interface Run {
  readonly sent: readonly BusMessage[];
  readonly read: readonly BusSignal[];
  readonly largest: number;
  readonly dropped: Record<string, number>;
}

function play(limit: number, steps: readonly ('take' | { jobId: string; change: string })[]): Run {
  const dropped: Record<string, number> = {};
  const mailbox = new Mailbox(limit, (reason, count) => {
    dropped[reason] = (dropped[reason] ?? 0) + count;
  });
  const sent: BusMessage[] = [];
  const read: BusSignal[] = [];
  let largest = 0;
  for (const step of steps) {
    if (step === 'take') {
      const signal = mailbox.take();
      if (signal) read.push(signal);
    } else {
      const message = numbered(step.jobId, step.change, sent.length);
      sent.push(message);
      mailbox.put(message);
    }
    largest = Math.max(largest, mailbox.size);
  }
  read.push(...drain(mailbox));
  return { sent, read, largest, dropped };
}

const isDurable = (signal: BusSignal): boolean =>
  signal.kind === 'job' && (signal.change.type === 'durable' || signal.change.type === 'deleted');

describe('Mailbox, whatever is sent and however slowly it is read', () => {
  const runs = fc.record({
    limit: fc.integer({ min: 1, max: 12 }),
    steps: fc.array(anyStep, { maxLength: 120 }),
  });

  it('never holds more than its limit', () => {
    fc.assert(
      fc.property(runs, ({ limit, steps }) => {
        expect(play(limit, steps).largest).toBeLessThanOrEqual(limit);
      }),
    );
  });

  it('tells of every message that is not handed out, once', () => {
    fc.assert(
      fc.property(runs, ({ limit, steps }) => {
        const { sent, read, dropped } = play(limit, steps);
        const told = Object.values(dropped).reduce((sum, count) => sum + count, 0);
        expect(told).toBe(sent.length - read.filter(({ kind }) => kind !== 'gap').length);
      }),
    );
  });

  it('hands out messages in the order sent, none twice', () => {
    fc.assert(
      fc.property(runs, ({ limit, steps }) => {
        const { sent, read } = play(limit, steps);
        const places = read.filter((signal) => signal.kind !== 'gap').map((signal) => sent.indexOf(signal));
        expect(places).toEqual([...new Set(places)].sort((x, y) => x - y));
        expect(places).not.toContain(-1);
      }),
    );
  });

  it('loses a durable event only where it signals a gap', () => {
    fc.assert(
      fc.property(runs, ({ limit, steps }) => {
        const { sent, read } = play(limit, steps);
        let from = 0;
        let gap = false;
        for (const signal of [...read, null]) {
          if (signal?.kind === 'gap') {
            gap = true;
            continue;
          }
          if (signal && !isDurable(signal)) continue;
          const place = signal ? sent.indexOf(signal) : sent.length;
          const missed = sent.slice(from, place).filter(isDurable);
          if (!gap) expect(missed).toEqual([]);
          from = place + 1;
          gap = false;
        }
      }),
    );
  });

  it('ends with the newest progress of each job, unless a gap was signalled after all older ones', () => {
    fc.assert(
      fc.property(runs, ({ limit, steps }) => {
        const { sent, read } = play(limit, steps);
        for (const jobId of ['a', 'b', 'c']) {
          const own = (signal: BusSignal): boolean =>
            signal.kind === 'job' && signal.jobId === jobId && signal.change.type === 'progress';
          const newest = sent.findLast(own);
          const lastRead = read.findLast((signal) => own(signal) || signal.kind === 'gap');
          if (newest && lastRead?.kind !== 'gap') expect(lastRead).toBe(newest);
        }
      }),
    );
  });
});
