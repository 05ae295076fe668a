/**
 * Names that differ between a recording and its replay by nature: prompt ids the server makes up, the random letters of
 * temporary files, validators, the server's own address. Learned pair by pair while the replay goes on.
 */
import type { Observation } from './observation.ts';
import { isRecord } from './recording.ts';

const LETTERS = /ComfyUI_temp_([a-z]{5})_/g;

export class Names {
  readonly #pairs = new Map<string, string>();

  /** Notes that what the recording calls `recorded` is called `actual` here. */
  learn(recorded: unknown, actual: unknown): void {
    if (typeof recorded !== 'string' || typeof actual !== 'string') return;
    if (recorded !== actual && recorded !== '' && !this.#pairs.has(recorded))
      this.#pairs.set(recorded, actual);
  }

  /** Learns the letters of temporary files from what both sides have seen so far. */
  learnLetters(recorded: Observation, actual: Observation): void {
    const theirs = letters(recorded, Object.keys(recorded.sockets));
    const ours = letters(actual, Object.keys(recorded.sockets));
    for (const [index, value] of theirs.entries()) {
      const match = ours[index];
      if (match !== undefined) this.learn(`ComfyUI_temp_${value}_`, `ComfyUI_temp_${match}_`);
    }
  }

  /** Pairs the client ids that the server made up: 32 hex digits on both sides. */
  learnSids(recorded: Observation, actual: Observation): void {
    for (const client of Object.keys(recorded.sockets)) {
      const theirs = madeUpSid(recorded, client);
      const ours = madeUpSid(actual, client);
      if (theirs !== undefined && ours !== undefined) this.learn(theirs, ours);
    }
  }

  /** A text of the recording with the names of this replay. */
  translate(text: string): string {
    let result = text;
    for (const [recorded, actual] of this.#pairs) result = result.replaceAll(recorded, actual);
    return result;
  }
}

function madeUpSid(seen: Observation, client: string): string | undefined {
  return /"sid":"([0-9a-f]{32})"/.exec(JSON.stringify(seen.sockets[client] ?? []))?.[1];
}

function letters(seen: Observation, clients: readonly string[]): string[] {
  const found = new Set<string>();
  const sources = [...clients.map((client) => seen.sockets[client] ?? []), seen.answers];
  for (const source of sources) {
    for (const match of JSON.stringify(source).matchAll(LETTERS)) found.add(match[1] ?? '');
  }
  return [...found];
}

/** The prompt id an answer gave out, if it is an accepting answer of POST /prompt. */
export function promptIdOf(body: unknown): string | undefined {
  return isRecord(body) && typeof body.prompt_id === 'string' ? body.prompt_id : undefined;
}
