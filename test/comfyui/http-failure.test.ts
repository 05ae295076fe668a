import { errors } from 'undici';
import { describe, expect, it } from 'vitest';
import { failureOfError, shorten } from '../../src/comfyui/http-failure.ts';
import { UploadSourceError } from '../../src/comfyui/multipart.ts';

const withCode = (code: string): Error => Object.assign(new Error('message'), { code });

describe('failureOfError', () => {
  it.each([
    [withCode('ECONNREFUSED'), 'refused'],
    [withCode('ENOTFOUND'), 'refused'],
    [withCode('EHOSTUNREACH'), 'refused'],
    [withCode('CERT_HAS_EXPIRED'), 'refused'],
    [new errors.ConnectTimeoutError(), 'refused'],
    [new AggregateError([withCode('ECONNREFUSED'), withCode('ENETUNREACH')]), 'refused'],
    [new Error('outer', { cause: withCode('ECONNREFUSED') }), 'refused'],
    [new errors.BodyTimeoutError(), 'timeout'],
    [new errors.SocketError('other side closed'), 'reset'],
    [withCode('ECONNRESET'), 'reset'],
    [withCode('EPIPE'), 'reset'],
    [new errors.HTTPParserError('nonsense'), 'malformed'],
    [new UploadSourceError('disk'), 'source'],
    ['not even an error', 'reset'],
  ])('sorts %s into %s', (error, reason) => {
    expect(failureOfError(error)).toMatchObject({ ok: false, reason });
  });

  it('says only what certainly was not sent was refused: anything it does not know may have been carried out', () => {
    expect(failureOfError(withCode('SOMETHING_NEW')).reason).toBe('reset');
  });
});

describe('shorten', () => {
  it('keeps the first line, within what fits a log', () => {
    expect(shorten('500 Internal Server Error\n\nServer got itself in trouble')).toBe(
      '500 Internal Server Error',
    );
    expect(shorten('x'.repeat(1000))).toHaveLength(200);
  });
});
