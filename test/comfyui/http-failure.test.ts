import { errors } from 'undici';
import { describe, expect, it } from 'vitest';
import { describeFailure, failureOfError, shorten } from '../../src/comfyui/http-failure.ts';
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

describe('describeFailure', () => {
  const described = (code: string): string => describeFailure(failureOfError(withCode(code)));

  it.each([
    ['SELF_SIGNED_CERT_IN_CHAIN', 'NODE_EXTRA_CA_CERTS'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'NODE_EXTRA_CA_CERTS'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'NODE_EXTRA_CA_CERTS'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'NODE_EXTRA_CA_CERTS'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'is for another host name'],
    ['CERT_HAS_EXPIRED', 'its certificate is not good'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'try http://'],
    ['ENOTFOUND', 'its host name is not known'],
    ['ECONNREFUSED', 'connection refused'],
  ])('of %s, where nothing was sent, says what to do', (code, advice) => {
    expect(failureOfError(withCode(code)).reason).toBe('refused');
    expect(described(code)).toContain(advice);
    expect(described(code)).toContain(code);
  });

  it.each([
    [401, 'user or password'],
    [403, 'user or password'],
    [302, 'redirects are not followed'],
    [404, 'under the path of its address'],
    [500, 'answered with status 500'],
  ])('of status %i says what to do', (status, advice) => {
    const failure = { ok: false, reason: 'status', status, message: 'a page' } as const;
    expect(describeFailure(failure)).toContain(advice);
    expect(describeFailure(failure)).not.toContain('a page');
  });
});
