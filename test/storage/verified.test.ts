import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { type Expected, type Patience, verified } from '../../src/storage/verified.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { sha256 } from './blob-store.contract.ts';

const bytes = Buffer.from('0123456789');
const whole: Expected = { bytes: 10, sha256: sha256(bytes) };

/** What got through, and how it ended. */
async function read(source: Readable, expected: Expected, patience?: Patience): Promise<[string, string]> {
  let came = '';
  try {
    for await (const piece of verified(
      source,
      expected,
      patience ?? { clock: new VirtualClock(), stallMs: 10 },
    ))
      came += Buffer.from(piece).toString();
    return [came, 'end'];
  } catch (error) {
    return [came, (error as Error).message];
  }
}

const inPieces = (...pieces: string[]): Readable => Readable.from(pieces.map((piece) => Buffer.from(piece)));

describe('verified', () => {
  it('passes on what is as expected', async () => {
    expect(await read(inPieces('01', '2345', '6789'), whole)).toEqual(['0123456789', 'end']);
    expect(await read(inPieces('234'), { bytes: 3, sha256: null })).toEqual(['234', 'end']);
    expect(await read(inPieces(), { bytes: 0, sha256: sha256(Buffer.alloc(0)) })).toEqual(['', 'end']);
  });

  it.each([
    ['an end that comes early', inPieces('0123', '4567'), '8 of 10 bytes came'],
    ['bytes that changed', inPieces('01', '2345', '678X'), 'the bytes are not those of their name'],
    ['more than was announced', inPieces('0123456789', '0'), 'more than the 10 bytes announced'],
  ])('never lets the last piece pass before %s is found out', async (_, source, problem) => {
    const [came, ending] = await read(source, whole);
    expect(ending).toBe(problem);
    expect(came.length).toBeLessThan(10);
    expect(source.destroyed).toBe(true);
  });

  it('ends as the source does, without repeating what that said', async () => {
    const source = new PassThrough();
    source.write('0123');
    const reading = read(source, whole);
    source.destroy(new Error('the connection broke'));
    expect((await reading)[1]).toBe('the object store failed: Error');
  });

  it('gives up a source that stalls, and closes it', async () => {
    const clock = new VirtualClock();
    const source = new PassThrough();
    const reading = read(source, whole, { clock, stallMs: 1000 });
    source.write('0123');
    await once(source, 'readable').catch(() => undefined);
    await clock.advance(1001);
    expect((await reading)[1]).toBe('nothing came for 1000 ms');
    expect(source.destroyed).toBe(true);
  });

  it('waits for a reader as long as that takes', async () => {
    const clock = new VirtualClock();
    const pieces = verified(inPieces('01', '23', '456789'), whole, { clock, stallMs: 1000 });
    let came = '';
    for await (const piece of pieces) {
      came += Buffer.from(piece).toString();
      await clock.advance(3_600_000);
    }
    expect(came).toBe('0123456789');
  });
});
