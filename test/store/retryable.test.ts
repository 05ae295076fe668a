import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { storeTrouble } from '../../src/store/retryable.ts';

const coded = (code: string, extra: object = {}) => Object.assign(new Error('it failed'), { code, ...extra });

describe('what a store error says about trying again', () => {
  it.each(['40001', '40P01'])('the same at once: %s', (code) => {
    expect(storeTrouble(coded(code))).toBe('conflict');
  });

  it.each(['SQLITE_FULL', 'SQLITE_IOERR_WRITE', 'ENOSPC', 'EDQUOT', '53100'])(
    'once there is room: %s',
    (code) => {
      expect(storeTrouble(coded(code))).toBe('full');
    },
  );

  it.each([
    ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH'],
    ...['08000', '08003', '08006', '53000', '53200', '53300', '53400'],
    ...['25P03', '25006', '55P03', '57014', '57P01', '57P02', '57P03', '57P05'],
    ...['SQLITE_BUSY', 'SQLITE_BUSY_SNAPSHOT'],
  ])('once it is back: %s', (code) => {
    expect(storeTrouble(coded(code))).toBe('unavailable');
  });

  it('a socket that is not there yet is away, a file that is not there is gone', () => {
    expect(storeTrouble(coded('ENOENT', { syscall: 'connect' }))).toBe('unavailable');
    expect(storeTrouble(coded('ENOENT', { syscall: 'open' }))).toBeNull();
  });

  it.each(['23505', '42P01', '42601', '28P01', '3D000', '22P02', '25P02', 'SQLITE_CONSTRAINT', 'ERR_X'])(
    'never: %s',
    (code) => {
      expect(storeTrouble(coded(code))).toBeNull();
    },
  );

  it('never of what is no error', () => {
    for (const thrown of [
      null,
      undefined,
      'ECONNREFUSED',
      { code: 'ECONNREFUSED' },
      new Error('ECONNREFUSED'),
    ])
      expect(storeTrouble(thrown)).toBeNull();
  });

  it('several addresses that all refuse are one that refuses', async () => {
    const nobody = new pg.Client({ host: 'localhost', port: 1 });
    const error = await nobody.connect().then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(storeTrouble(error)).toBe('unavailable');
  });
});
