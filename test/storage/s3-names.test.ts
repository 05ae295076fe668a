import { describe, expect, it } from 'vitest';
import { S3Keys } from '../../src/storage/s3-keys.ts';
import { parseS3Url } from '../../src/storage/s3-location.ts';
import { describeProblem, isAbsent, isFull, isTransient } from '../../src/storage/s3-problem.ts';
import { sha256 } from './blob-store.contract.ts';

const parse = (text: string) => parseS3Url(new URL(text));

describe('STORAGE_URL of S3', () => {
  it('names bucket, prefix and server', () => {
    expect(parse('s3://my-bucket')).toEqual({
      bucket: 'my-bucket',
      prefix: '',
      endpoint: undefined,
      region: undefined,
      pathStyle: false,
      createBucket: false,
    });
    const own =
      's3://b.1/some//path/?endpoint=http://host:9000&region=eu-1&path-style=false&create-bucket=true';
    expect(parse(own)).toEqual({
      bucket: 'b.1',
      prefix: 'some/path/',
      endpoint: 'http://host:9000',
      region: 'eu-1',
      pathStyle: false,
      createBucket: true,
    });
    expect(parse('s3://bucket?endpoint=https://host')).toMatchObject({
      region: 'us-east-1',
      pathStyle: true,
    });
  });

  it.each([
    ['s3://key:secret@bucket', 'credentials'],
    ['s3://bucket?endpoint=http://key:secret@host', 'credentials'],
    ['s3:///path', 'names no bucket'],
    ['s3://Bucket_', 'names no bucket'],
    ['s3://bucket?endpoint=host:9000', 'endpoint that is no'],
    ['s3://bucket?pathstyle=true', 'not pathstyle'],
    ['s3://bucket?path-style=yes', 'neither true nor false'],
  ])('refuses %s without repeating a secret', (text, problem) => {
    expect(() => parse(text)).toThrow(problem);
    expect(() => parse(text)).not.toThrow('secret');
  });
});

describe('keys of blobs', () => {
  const keys = new S3Keys('a/');
  const hash = sha256(Buffer.from('x'));

  it.each(['acme', 'ACME', '', '.', '~', '~YWNtZQ', 'a/b', 'é☃', 'x'.repeat(300)])(
    'give the tenant %j back',
    (tenant) => {
      expect(keys.read(keys.keyOf(tenant, hash))).toEqual({ tenant, sha256: hash });
    },
  );

  it('are no others than those that were given', () => {
    const key = keys.keyOf('acme', hash);
    for (const other of [
      key.slice(2),
      `${key}/x`,
      key.replace('acme', '~YWNtZQ'),
      key.replace(hash.slice(0, 2), '00'),
      key.replace('acme', '~!'),
    ]) {
      expect(keys.read(other), other).toBeNull();
    }
  });

  it('refuse a tenant that they could not tell from another, or not hold', () => {
    expect(() => keys.keyOf('\ud800', hash)).toThrow('whole letters');
    expect(() => keys.keyOf('x'.repeat(1000), hash)).toThrow('fits into a key');
  });
});

describe('errors of an object store', () => {
  const error = (name: string, httpStatusCode?: number, message = 'secret') =>
    Object.assign(new Error(message), { name, $metadata: { httpStatusCode } });

  it('tell absent from a bucket that is not there', () => {
    expect([isAbsent(error('NoSuchKey', 404)), isAbsent(error('NotFound', 404))]).toEqual([true, true]);
    expect([isAbsent(error('NoSuchBucket', 404)), isAbsent(error('AccessDenied', 403))]).toEqual([
      false,
      false,
    ]);
  });

  it('tell full, by whatever name', () => {
    const full = [
      error('InsufficientStorage', 507),
      error('XMinioStorageFull', 507),
      error('QuotaExceeded', 403),
      error('EntityTooLarge', 413, 'Upload exceeds quota.'),
    ];
    expect(full.map(isFull)).toEqual([true, true, true, true]);
    expect([error('EntityTooLarge', 413), error('SlowDown', 503)].map(isFull)).toEqual([false, false]);
  });

  it('tell what may pass from what is set up wrongly', () => {
    const away = Object.assign(new Error('x'), { code: 'ECONNREFUSED' });
    const passing = [away, error('TimeoutError'), error('SlowDown', 503), error('TooManyRequests', 429)];
    expect(passing.map(isTransient)).toEqual([true, true, true, true]);
    const wrong = [error('AccessDenied', 403), error('CredentialsProviderError'), 'text'];
    expect(wrong.map(isTransient)).toEqual([false, false, false]);
  });

  it('are described without what they say', () => {
    expect(describeProblem(error('AccessDenied', 403))).toBe('AccessDenied 403');
    expect(describeProblem(Object.assign(new Error('secret'), { code: 'ECONNRESET' }))).toBe(
      'Error ECONNRESET',
    );
  });
});
