/** What never shows in a log line, wherever it hides, and that a line stays JSON whatever is removed from it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Login } from '../../src/lib/address.ts';
import { createLogger } from '../../src/lib/logger.ts';

/** The one line that the call writes, as text. */
function lineOf(write: (logger: ReturnType<typeof createLogger>) => void): string {
  const lines: string[] = [];
  write(createLogger('trace', { write: (line) => void lines.push(line) }));
  expect(lines).toHaveLength(1);
  return lines[0] ?? '';
}

describe('fields of a line', () => {
  it('are hidden by name, at any depth and in lists', () => {
    const line = lineOf((logger) =>
      logger.child({ part: 'x' }).info(
        {
          password: 'hush-1',
          authorization: 'hush-2',
          job: { id: 'j1', inputs: { text: 'hush-3' }, graph: { 1: 'hush-4' }, labels: { a: 'hush-5' } },
          list: [{ apiKey: 'hush-6' }, { 'set-cookie': 'hush-7' }],
          idempotencyKey: 'hush-8',
          prompt: ['hush-9'],
          login: new Login('user:hush-10'),
        },
        'said',
      ),
    );
    expect(line).not.toContain('hush');
    expect(JSON.parse(line)).toMatchObject({
      part: 'x',
      job: { id: 'j1', inputs: '[redacted]' },
      list: [{ apiKey: '[redacted]' }, { 'set-cookie': '[redacted]' }],
    });
  });

  it('show how many bytes there are, not the bytes', () => {
    const line = lineOf((logger) => logger.info({ picture: Buffer.from('abc') }, 'said'));
    expect(JSON.parse(line).picture).toBe('[3 bytes]');
  });

  it('end where they nest too deeply, or come round', () => {
    const round: Record<string, unknown> = { name: 'round' };
    round.again = round;
    expect(lineOf((logger) => logger.info({ round }, 'said'))).toContain('[deep]');
  });
});

describe('errors', () => {
  it('show type, message, code, stack and causes, and none of the properties that libraries add', () => {
    const cause = Object.assign(new TypeError('the cause'), { code: 'ECONNREFUSED', config: 'hush-1' });
    const error = Object.assign(new Error('it broke', { cause }), {
      code: '23505',
      detail: 'Key (label)=(hush-2) already exists.',
      parameters: ['hush-3'],
      input: 'redis://:hush-4@redis',
      source: { body: '{ submit(prompt: "hush-5") }' },
    });
    const line = lineOf((logger) => logger.error({ err: error }, 'said'));
    expect(line).not.toContain('hush');
    expect(JSON.parse(line).err).toEqual({
      type: 'Error',
      message: 'it broke',
      code: '23505',
      stack: error.stack,
      cause: { type: 'TypeError', message: 'the cause', code: 'ECONNREFUSED', stack: cause.stack },
    });
  });

  it('of several, show each', () => {
    const error = new AggregateError([new Error('one'), new Error('two')], 'both');
    const { err } = JSON.parse(lineOf((logger) => logger.error({ err: error }, 'said')));
    expect(err.errors.map(({ message }: Error) => message)).toEqual(['one', 'two']);
  });

  it('alone give the line its message', () => {
    const line = JSON.parse(lineOf((logger) => logger.error(new Error('it broke'))));
    expect(line).toMatchObject({ msg: 'it broke', err: { type: 'Error', message: 'it broke' } });
  });

  it('quote neither what was no JSON nor what was no number', () => {
    const texts = ['hush "quoted" words', '{"a": hush', 'hush\nlines', `${'x'.repeat(50)}hush`];
    for (const text of texts) {
      const error = (() => {
        try {
          return JSON.parse(text);
        } catch (thrown) {
          return thrown;
        }
      })();
      expect(lineOf((logger) => logger.warn({ err: error }))).not.toContain('hush');
    }
    const error = new Error('invalid input syntax for type integer: "hush"');
    const line = lineOf((logger) => logger.warn({ err: error }, error.message));
    expect(line).not.toContain('hush');
    expect(JSON.parse(line).err.stack).toContain('log-secrets.test.ts');
  });
});

describe('addresses', () => {
  it.each([
    ['postgres://gate:hush@db:5432/x', 'postgres://db:5432/x'],
    ['redis://:hu@sh@redis:6379', 'redis://redis:6379'],
    ['http://gpu:8188/view?filename=hush.png&x=1', 'http://gpu:8188/view?[redacted]'],
    ['GET /files/abc?exp=1&sig=hush failed', 'GET /files/abc?[redacted] failed'],
    ['at https://u:hush@h/p?a="hush"\nnext', 'at https://h/p?[redacted]\nnext'],
    ['is data:image/png;base64,hushhush== good', 'is data:[redacted] good'],
  ])('lose logins and queries: %s', (said, shown) => {
    const line = lineOf((logger) => logger.info({ reason: said, err: new Error(said) }, said));
    expect(line).not.toContain('hush');
    expect(JSON.parse(line)).toMatchObject({ msg: shown, reason: shown, err: { message: shown } });
  });

  it.each([
    'https://gpu1:8188/prefix',
    'file:///srv/node_modules/@pothos/core/index.js:1:2',
    'mail ops@example.com? yes',
    'what is it?',
  ])('that hold neither stay as they are: %s', (text) => {
    expect(JSON.parse(lineOf((logger) => logger.info(text))).msg).toBe(text);
  });
});

describe('any line', () => {
  it('is one line of JSON with the fields it had', () => {
    const awkward = fc.array(
      fc.constantFrom(
        '://',
        '@',
        '?a=',
        '"',
        '\\',
        '\n',
        ' ',
        'data:a/b;base64,',
        'Unexpected token ',
        ' is not valid JSON',
        'x',
        'é',
      ),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(awkward, awkward, (a, b) => {
        const line = lineOf((logger) =>
          logger.info({ reason: a.join(''), more: [b.join('')], end: 1 }, b.join('')),
        );
        expect(line.indexOf('\n')).toBe(line.length - 1);
        expect(Object.keys(JSON.parse(line))).toEqual(['level', 'time', 'reason', 'more', 'end', 'msg']);
        expect(JSON.parse(line).end).toBe(1);
      }),
      { numRuns: 2000 },
    );
  });
});
