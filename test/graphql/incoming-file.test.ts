import { describe, expect, it } from 'vitest';
import { IncomingFile } from '../../src/graphql/incoming-file.ts';
import type { FileStream } from '../../src/jobs/sources.ts';

async function* letters(): AsyncGenerator<Uint8Array> {
  for (const letter of 'abc') yield Buffer.from(letter);
}

async function* broken(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('a');
  throw new Error('the line was cut');
}

function file(stream: AsyncIterable<Uint8Array>): IncomingFile {
  return new IncomingFile(async () => ({ filename: 'a.png', stream, truncated: () => false }));
}

async function text({ stream }: FileStream): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('a file of a request', () => {
  it('is read whole by two at once, when it was shared', async () => {
    const shared = file(letters());
    shared.share();
    expect(await Promise.all([text(shared.open()), text(shared.open())])).toEqual(['abc', 'abc']);
    expect(await text(shared.open())).toBe('abc');
  });

  it('fails for everybody when it breaks off', async () => {
    const shared = file(broken());
    shared.share();
    const read = await Promise.allSettled([text(shared.open()), text(shared.open())]);
    expect(read.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });

  it('is read once only, when it was not shared', async () => {
    const single = file(letters());
    expect(await text(single.open())).toBe('abc');
    await expect(text(single.open())).rejects.toThrow('read already');
  });
});
