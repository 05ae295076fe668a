/** How a label stands in `job_labels`: by its canonical JSON, or by the hash of it where an index entry would not hold it. */
import { createHash } from 'node:crypto';
import { canonicalJson, type JsonObject } from '../lib/json.ts';

/** Postgres refuses index entries of more than about 2700 bytes. */
const LONGEST = 250;

export interface LabelKey {
  readonly name: string;
  readonly value: string;
}

export function labelKeys(labels: JsonObject): LabelKey[] {
  return Object.entries(labels).map(([name, value]) => ({
    name: shortened(JSON.stringify(name)),
    value: shortened(canonicalJson(value)),
  }));
}

function shortened(text: string): string {
  return text.length <= LONGEST ? text : `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
