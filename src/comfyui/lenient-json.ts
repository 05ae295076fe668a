/**
 * JSON as ComfyUI really sends it: Python writes bare NaN, Infinity and -Infinity into socket messages, history and
 * POST answers (observed on ComfyUI 0.3.64), which JSON.parse refuses. Here they become null. Depth is bounded, because
 * whoever serialises the value again later would run out of stack on a hostile answer.
 */
import type { Json } from '../lib/json.ts';

export type ParsedJson =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly reason: string };

/** Levels of nesting that no honest answer reaches. */
const MAX_DEPTH = 200;

/** The value of a JSON text, with bare NaN and infinities as null. Never throws. */
export function parseLenientJson(text: string): ParsedJson {
  const value = tryParse(text) ?? tryParse(withoutBareNumbers(text));
  if (!value) return { ok: false, reason: 'not JSON' };
  if (isDeeperThan(value.json, MAX_DEPTH))
    return { ok: false, reason: `nested deeper than ${MAX_DEPTH} levels` };
  return { ok: true, value: value.json };
}

function tryParse(text: string): { readonly json: Json } | null {
  try {
    return { json: JSON.parse(text) as Json };
  } catch {
    return null;
  }
}

/** Replaces NaN, Infinity and -Infinity outside of strings by null; strings are skipped, not matched, as they may be megabytes long. */
function withoutBareNumbers(text: string): string {
  const token = /"|-?Infinity|NaN/g;
  let result = '';
  let copied = 0;
  for (let match = token.exec(text); match; match = token.exec(text)) {
    if (match[0] === '"') {
      token.lastIndex = endOfString(text, match.index);
    } else {
      result += `${text.slice(copied, match.index)}null`;
      copied = token.lastIndex;
    }
  }
  return result + text.slice(copied);
}

/** Index behind the closing quote of the string that opens at `start`; the end of the text when it never closes. */
function endOfString(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    const char = text[index];
    if (char === '\\') index++;
    else if (char === '"') return index + 1;
  }
  return text.length;
}

function isDeeperThan(root: Json, limit: number): boolean {
  let level: Json[] = [root];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > limit) return true;
    const next: Json[] = [];
    for (const value of level) {
      if (typeof value !== 'object' || value === null) continue;
      for (const child of Array.isArray(value) ? value : Object.values(value)) {
        if (typeof child === 'object' && child !== null) next.push(child);
      }
    }
    level = next;
  }
  return false;
}
