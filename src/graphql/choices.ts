/** Lists and objects of filters: a body has room for many thousands, and a statement of the database does not. */
import { MAX_LABELS } from '../jobs/submit-options.ts';
import type { JsonObject } from '../lib/json.ts';
import { badInput } from './coded-error.ts';

export const MOST_CHOICES = 500;

/** Each once. @throws BAD_USER_INPUT when there are more than may be: `field` says where. */
export function choices<T>(field: string, values: readonly T[]): T[] {
  const distinct = [...new Set(values)];
  if (distinct.length <= MOST_CHOICES) return distinct;
  throw badInput(
    `filter.${field} has ${distinct.length} values; ${MOST_CHOICES} are allowed: ask several times, or leave it out`,
  );
}

/** The same object. @throws BAD_USER_INPUT when it has more entries than a job may have labels. */
export function labelChoices(label: JsonObject): JsonObject {
  const { length } = Object.keys(label);
  if (length <= MAX_LABELS) return label;
  throw badInput(`filter.label has ${length} entries; a job has ${MAX_LABELS} labels at most`);
}
