import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import type { FileRef } from '../../../src/domain/graph.ts';
import type { Member } from '../../../src/fleet/member.ts';
import { InputFiles } from '../../../src/scheduler/transfers/input-files.ts';
import { TransferGate } from '../../../src/scheduler/transfers/transfer-gate.ts';
import type { BlobStore } from '../../../src/storage/blob-store.ts';
import { StorageUnavailable } from '../../../src/storage/storage-unavailable.ts';
import { hurriedClock } from '../../support/hurried-clock.ts';

const ref = (n: number): FileRef => ({
  sha256: String(n).padStart(64, '0'),
  mimeType: 'image/png',
  as: 'name',
});

/** An instance that takes every file; `uploaded` has their names. */
function instance(id: string) {
  const uploaded: string[] = [];
  const upload = async ({ filename }: { filename: string }) => {
    uploaded.push(filename);
    return { ok: true, value: { filename, subfolder: '', type: 'input' } } as const;
  };
  return { uploaded, member: { id, http: { upload } } as unknown as Member };
}

function stored(open: BlobStore['open']): BlobStore {
  return { open } as BlobStore;
}
const everything = stored(async () => ({ stream: Readable.from([]), total: 0 }));

function filesOf(storage: BlobStore, mostKnown = 10): InputFiles {
  const transfers = new TransferGate({ perInstance: 4, overall: 32 });
  return new InputFiles({ storage, transfers, clock: hurriedClock(100), mostKnown });
}

describe('files for instances', () => {
  it('are uploaded once to each instance, also when two jobs want them at once', async () => {
    const files = filesOf(everything);
    const [a, b] = [instance('a'), instance('b')];
    const twice = await Promise.all([
      files.handOver(a.member, 'default', ref(1)),
      files.handOver(a.member, 'default', ref(1)),
    ]);
    await files.handOver(b.member, 'default', ref(1));
    expect(twice[0]).toEqual({ kind: 'there', name: `cf_${ref(1).sha256}.png` });
    expect(twice[1]).toEqual(twice[0]);
    expect([a.uploaded.length, b.uploaded.length]).toEqual([1, 1]);
    files.forget('a');
    await files.handOver(a.member, 'default', ref(1));
    expect(a.uploaded).toHaveLength(2);
  });

  it('wait for storage that is away, also when that goes in the middle of a file', async () => {
    const away = new StorageUnavailable('the object store failed');
    const broken = Readable.from(
      (async function* () {
        yield Buffer.from('half');
        throw away;
      })(),
    );
    const answers = [
      async () => Promise.reject(away),
      async () => ({ stream: broken, total: 8 }),
      async () => ({ stream: Readable.from(['wholewho']), total: 8 }),
    ];
    const storage = stored(() => answers.shift()?.() ?? Promise.resolve(null));
    const upload = async ({ filename, content }: { filename: string; content: Readable }) => {
      try {
        await buffer(content);
      } catch {
        return { ok: false, reason: 'source', message: 'the file broke off' } as const;
      }
      return { ok: true, value: { filename, subfolder: '', type: 'input' } } as const;
    };
    const member = { id: 'a', http: { upload } } as unknown as Member;
    const files = filesOf(storage);
    expect(await files.handOver(member, 'default', ref(1))).toMatchObject({ kind: 'there' });
    expect(answers).toEqual([]);
  });

  it.each([
    ['object store', new StorageUnavailable('the object store failed')],
    ['disk', Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })],
  ])(
    'cannot be read when the %s stays away, which is no verdict on the file or the instance',
    async (_, away) => {
      let asked = 0;
      const fails = async () => {
        asked++;
        throw away;
      };
      const files = filesOf({ open: fails, toBuffer: fails } as unknown as BlobStore);
      const { member, uploaded } = instance('a');
      const unreadable = { kind: 'unreadable', reason: away.message };
      expect(await files.handOver(member, 'default', ref(1))).toEqual(unreadable);
      expect(asked).toBeGreaterThan(1);
      expect(await files.toText('default', { ...ref(1), as: 'base64' })).toEqual(unreadable);
      expect(uploaded).toEqual([]);
    },
  );

  it('are asked for again after storage was away: nothing of that is remembered', async () => {
    let isAway = true;
    const storage = stored(async () => {
      if (isAway) throw new StorageUnavailable('the object store failed');
      return { stream: Readable.from([]), total: 0 };
    });
    const files = filesOf(storage);
    const { member } = instance('a');
    expect(await files.handOver(member, 'default', ref(1))).toMatchObject({ kind: 'unreadable' });
    isAway = false;
    expect(await files.handOver(member, 'default', ref(1))).toMatchObject({ kind: 'there' });
  });

  it('are gone when storage has none of them', async () => {
    const files = filesOf(stored(async () => null));
    const { member } = instance('a');
    expect(await files.handOver(member, 'default', ref(1))).toEqual({ kind: 'gone' });
  });

  it('are remembered in bounded memory, the latest longest', async () => {
    const files = filesOf(everything, 3);
    const { member, uploaded } = instance('a');
    for (const n of [1, 2, 3, 4]) await files.handOver(member, 'default', ref(n));
    await files.handOver(member, 'default', ref(4));
    expect(uploaded).toHaveLength(4);
    await files.handOver(member, 'default', ref(1));
    expect(uploaded).toHaveLength(5);
  });

  it('go four at a time to one instance (F44)', async () => {
    let now = 0;
    let most = 0;
    const open = async () => ({ stream: Readable.from([]), total: 0 });
    const files = filesOf(stored(open));
    const { member } = instance('a');
    const upload = member.http.upload;
    const counted: typeof upload = async (...args) => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setImmediate(resolve));
      now--;
      return upload(...args);
    };
    const slow = { ...member, http: { upload: counted } } as unknown as Member;
    await Promise.all(Array.from({ length: 12 }, (_, n) => files.handOver(slow, 'default', ref(n))));
    expect(most).toBe(4);
  });
});
