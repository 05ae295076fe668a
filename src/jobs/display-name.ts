/** What a client calls its file, made fit to be shown: text only, it never becomes part of a path. */

const LONGEST = 255;
/** Control characters, and those that turn the direction of text round (`gnp.exe` shown as `exe.png`). */
const INVISIBLE = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** At most 255 characters without control characters; null when nothing is left. */
export function displayName(filename: string | null): string | null {
  if (filename === null) return null;
  // Bytes and back: half a surrogate pair becomes the replacement character, as in any UTF-8 text.
  const text = Buffer.from(filename.slice(0, 4 * LONGEST), 'utf8').toString('utf8');
  const shown = [...text.replace(INVISIBLE, '').trim()].slice(0, LONGEST).join('').trim();
  return shown === '' ? null : shown;
}
