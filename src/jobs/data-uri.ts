/** Reads `data:image/png;base64,...`. The type it claims is not believed: the bytes are looked at like any upload. */

export type DataUri =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly reason: 'malformed' | 'too-large' };

const HEADER = /^data:[^,]{0,200};base64,/i;

/** Decodes at most `maxBytes`; longer ones are refused before anything is decoded. */
export function readDataUri(text: string, maxBytes: number): DataUri {
  const header = HEADER.exec(text.slice(0, 256))?.[0];
  if (header === undefined) return { ok: false, reason: 'malformed' };
  const length = text.length - header.length;
  if (length > Math.ceil(maxBytes / 3) * 4) return { ok: false, reason: 'too-large' };
  const encoded = text.slice(header.length);
  if (length === 0 || length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded))
    return { ok: false, reason: 'malformed' };
  return { ok: true, bytes: Buffer.from(encoded, 'base64') };
}
