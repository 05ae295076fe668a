import { describe, expect, it } from 'vitest';
import { bodyHash } from '../../src/jobs/body-hash.ts';
import type { ImageSource } from '../../src/jobs/sources.ts';
import { checkOptions } from '../../src/jobs/submit-options.ts';

const { options } = checkOptions({});

/** The hash of a submission with one image input. */
function hashOf(image: ImageSource, sha256: string): string {
  const request = { workflow: 'w', inputs: { image } };
  return bodyHash(request, options, [{ path: ['inputs', 'image'], source: image }], [sha256]);
}

describe('bodyHash', () => {
  const stream = (async function* () {
    yield new Uint8Array();
  })();

  it('sees the bytes of a file, not its name nor the way they came in the request', () => {
    const a = hashOf({ upload: { filename: 'a', stream } }, 'x');
    expect(hashOf({ upload: { filename: 'b', stream } }, 'x')).toBe(a);
    expect(hashOf({ dataUri: 'data:...' }, 'x')).toBe(a);
    expect(hashOf({ upload: { filename: 'a', stream } }, 'y')).not.toBe(a);
  });

  it('sees a reference as it was sent', () => {
    expect(hashOf({ uploadId: 'a' }, 'x')).toBe(hashOf({ uploadId: 'a' }, 'y'));
    expect(hashOf({ uploadId: 'a' }, 'x')).not.toBe(hashOf({ uploadId: 'b' }, 'x'));
    expect(hashOf({ url: 'http://a' }, 'x')).toBe(hashOf({ url: 'http://a' }, 'y'));
    expect(hashOf({ uploadId: 'a' }, 'x')).not.toBe(hashOf({ outputId: 'a' }, 'x'));
  });

  it('replaces a file inside a raw graph', () => {
    const graphHash = (dataUri: string, sha256: string): string => {
      const graph = { '1': { class_type: 'LoadImage', inputs: { image: { $file: { dataUri } } } } };
      const path = ['graph', '1', 'inputs', 'image', '$file'];
      return bodyHash({ graph }, options, [{ path, source: { dataUri } }], [sha256]);
    };
    expect(graphHash('a', 'x')).toBe(graphHash('b', 'x'));
    expect(graphHash('a', 'x')).not.toBe(graphHash('a', 'y'));
  });

  it('takes null for absent, and default options for those that were spelled out', () => {
    const hash = (inputs: Record<string, null | number>): string =>
      bodyHash({ workflow: 'w', inputs }, options, [], []);
    expect(hash({ a: 1, b: null })).toBe(hash({ a: 1 }));
    expect(bodyHash({ workflow: 'w' }, checkOptions({ priority: 5, labels: {} }).options, [], [])).toBe(
      hash({}),
    );
  });
});
