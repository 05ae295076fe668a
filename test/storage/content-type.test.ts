import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { safeContentType } from '../../src/storage/content-type.ts';

const UNKNOWN = { mimeType: 'application/octet-stream', inline: false };

describe('safeContentType', () => {
  it.each([
    ['image/png', 'a.png', 'image/png'],
    ['image/webp', null, 'image/webp'],
    ['video/mp4', 'a.mp4', 'video/mp4'],
    ['audio/wav', 'a.wav', 'audio/wav'],
    ['audio/vnd.wave', 'a.wav', 'audio/wav'],
    ['audio/x-flac', 'a.flac', 'audio/flac'],
    ['audio/ogg; codecs=opus', 'a.opus', 'audio/ogg'],
    [null, 'a.txt', 'text/plain'],
    [null, 'workflow.JSON', 'application/json'],
  ])('shows %s named %s inline as %s', (sniffed, filename, mimeType) => {
    expect(safeContentType(sniffed, filename)).toEqual({ mimeType, inline: true });
  });

  it.each([
    ['application/zip', 'a.zip', 'application/zip'],
    ['application/pdf', 'a.pdf', 'application/pdf'],
    ['model/gltf-binary', 'a.glb', 'model/gltf-binary'],
    [null, 'a.csv', 'text/csv'],
    [null, 'a.svg', 'image/svg+xml'],
    ['application/xml', 'a.svg', 'image/svg+xml'],
    [null, 'a.obj', 'model/obj'],
  ])('sends %s named %s as an attachment of type %s', (sniffed, filename, mimeType) => {
    expect(safeContentType(sniffed, filename)).toEqual({ mimeType, inline: false });
  });

  it('believes the bytes, not the name', () => {
    expect(safeContentType('image/png', 'a.html')).toEqual({ mimeType: 'image/png', inline: true });
    expect(safeContentType('application/zip', 'a.png')).toEqual({
      mimeType: 'application/zip',
      inline: false,
    });
  });

  it('does not believe a name that claims a format whose signature is missing', () => {
    for (const name of ['a.png', 'a.mp4', 'a.wav', 'a.zip', 'a.pdf', 'a.exe', 'a.safetensors']) {
      expect(safeContentType(null, name)).toEqual(UNKNOWN);
    }
    expect(safeContentType(null, null)).toEqual(UNKNOWN);
    expect(safeContentType(null, 'no extension')).toEqual(UNKNOWN);
  });

  it('serves nothing that a browser could run under a type that lets it', () => {
    const types = [
      'text/html',
      'application/xhtml+xml',
      'text/javascript',
      'application/ecmascript',
      'text/xml',
    ];
    for (const type of [...types, 'TEXT/HTML; charset=utf-8', 'application/xslt+xml']) {
      expect(safeContentType(type, 'a.html')).toEqual(UNKNOWN);
    }
    for (const name of ['a.html', 'a.htm', 'a.xhtml', 'a.js', 'a.mjs', 'a.xml', 'a.xsl', 'a.png.html']) {
      expect(safeContentType(null, name)).toEqual(UNKNOWN);
    }
  });

  it.each(['__proto__', 'constructor', 'toString'])('takes %s for no type that it knows', (type) => {
    expect(safeContentType(type, null)).toEqual({ mimeType: type.toLowerCase(), inline: false });
  });

  it('never shows a type outside its list inline, whatever the name', () => {
    fc.assert(
      fc.property(fc.option(fc.string()), fc.option(fc.string()), (sniffed, filename) => {
        const served = safeContentType(sniffed, filename);
        if (served.inline)
          expect(served.mimeType).toMatch(/^(image|video|audio)\/[a-z0-9]+$|^text\/plain$|json$/);
        expect(served.mimeType).not.toMatch(/html|script/);
      }),
    );
  });
});
