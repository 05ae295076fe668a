/**
 * Lays what a replay saw beside what the recording holds. Everything is compared by value: the sequence of every
 * socket, item by item, and every answer; only the tolerances of tolerances.ts come off first.
 */
import type { Names } from './names.ts';
import type { AnswerSeen, Observation, SocketItem } from './observation.ts';
import { isRecord } from './recording.ts';
import { type SpecialTolerance, tolerate } from './tolerances.ts';

/** One place where the two differ, ready to print. */
export interface Difference {
  readonly where: string;
  readonly recorded: string;
  readonly actual: string;
}

export interface CompareOptions {
  readonly special?: readonly SpecialTolerance[];
  /** What one scenario takes out of the comparison, on both sides, for a reason it states. */
  readonly ignore?: (value: unknown, where: string) => unknown;
}

/** All differences; none means the replay is faithful. `names` turns recorded names into those of the replay. */
export function compare(
  recorded: Observation,
  actual: Observation,
  names: Names,
  options: CompareOptions = {},
): Difference[] {
  const found: Difference[] = [];
  const clients = new Set([...Object.keys(recorded.sockets), ...Object.keys(actual.sockets)]);
  for (const client of clients) {
    const ready = (items: readonly SocketItem[]): unknown[] =>
      items.map((item) => prepare(item, `socket ${client}`, options));
    const theirs = ready(translated(recorded.sockets[client] ?? [], names));
    const ours = ready(actual.sockets[client] ?? []);
    found.push(...compareSocket(client, theirs, ours, options.special ?? []));
  }
  for (const [index, answer] of recorded.answers.entries()) {
    found.push(...compareAnswer(translated(answer, names), actual.answers[index], options));
  }
  return found;
}

function compareSocket(
  client: string,
  recorded: readonly unknown[],
  actual: readonly unknown[],
  special: readonly SpecialTolerance[],
): Difference[] {
  const where = `socket ${client}`;
  const numbersRace = special.includes('statusNumbersRace');
  if (!numbersRace && !special.includes('statusRace')) {
    return compareSequence(where, recorded, actual, special.includes('cutSocket') ? 3 : 0);
  }
  const statusOf = (items: readonly unknown[]): unknown[] => {
    const statuses = items.filter(isStatus);
    return numbersRace ? [statuses.length, statuses.at(-1)] : statuses;
  };
  return [
    ...compareSequence(
      where,
      recorded.filter((item) => !isStatus(item)),
      actual.filter((item) => !isStatus(item)),
      0,
    ),
    ...compareSequence(`${where}, status only`, statusOf(recorded), statusOf(actual), 0),
  ];
}

function compareSequence(
  where: string,
  recorded: readonly unknown[],
  actual: readonly unknown[],
  extraAllowed: number,
): Difference[] {
  const found: Difference[] = [];
  const length = Math.max(recorded.length, actual.length);
  for (let index = 0; index < length; index++) {
    const place = `${where}[${index}]`;
    if (index >= recorded.length) {
      if (actual.length - recorded.length > extraAllowed) {
        found.push({
          where: place,
          recorded: '(nothing more)',
          actual: `${print(actual[index])} and ${actual.length - index - 1} more`,
        });
      }
      break;
    }
    if (index >= actual.length) {
      found.push({
        where: place,
        recorded: `${print(recorded[index])} and ${recorded.length - index - 1} more`,
        actual: '(nothing more)',
      });
      break;
    }
    const inner = diff(recorded[index], actual[index], place);
    found.push(...inner);
    // When two items are of different kinds the sequences are out of step and all that follows is noise.
    if (kindOf(recorded[index]) !== kindOf(actual[index])) {
      return [
        ...found,
        { where: `${place} and around`, recorded: around(recorded, index), actual: around(actual, index) },
      ];
    }
  }
  return found;
}

function compareAnswer(
  recorded: AnswerSeen,
  actual: AnswerSeen | undefined,
  options: CompareOptions,
): Difference[] {
  const where = recorded.title;
  if (!actual) return [{ where, recorded: 'an answer', actual: '(the request was not made)' }];
  const { title: _, ...theirs } = recorded;
  const { title: __, ...ours } = actual;
  return diff(prepare(theirs, where, options), prepare(ours, where, options), where);
}

function prepare(value: unknown, where: string, options: CompareOptions): unknown {
  const kept = options.ignore ? options.ignore(value, where) : value;
  return tolerate(kept);
}

/** Deep comparison by value; a text under `head` counts up to where the shorter one ends. */
function diff(recorded: unknown, actual: unknown, where: string): Difference[] {
  if (Object.is(recorded, actual) || recorded === actual) return [];
  if (Array.isArray(recorded) && Array.isArray(actual) && recorded.length === actual.length) {
    return recorded.flatMap((item, index) => diff(item, actual[index], `${where}[${index}]`));
  }
  if (isRecord(recorded) && isRecord(actual)) {
    if (typeof recorded.head === 'string' && typeof actual.head === 'string') {
      return diffHeads(recorded.head, actual.head, where);
    }
    const keys = [...new Set([...Object.keys(recorded), ...Object.keys(actual)])];
    return keys.flatMap((key) => {
      if (!(key in recorded))
        return [{ where: `${where}.${key}`, recorded: '(absent)', actual: print(actual[key]) }];
      if (!(key in actual))
        return [{ where: `${where}.${key}`, recorded: print(recorded[key]), actual: '(absent)' }];
      return diff(recorded[key], actual[key], `${where}.${key}`);
    });
  }
  return [{ where, recorded: print(recorded), actual: print(actual) }];
}

function diffHeads(recorded: string, actual: string, where: string): Difference[] {
  const theirs = tight(recorded);
  const ours = tight(actual);
  // The last characters of a cut text may be half of a token that is written differently.
  const length = Math.min(theirs.length, ours.length) - 20;
  if (theirs.slice(0, length) === ours.slice(0, length)) return [];
  let at = 0;
  while (theirs[at] === ours[at]) at++;
  const from = Math.max(0, at - 40);
  return [
    {
      where: `${where}.head at ${at}`,
      recorded: theirs.slice(from, at + 120),
      actual: ours.slice(from, at + 120),
    },
  ];
}

/**
 * JSON text without what JSON does not mean (spaces between tokens, 1.0 for 1, escapes) and what is tolerated elsewhere:
 * times, memory sizes, and all from the first traceback or printed tensor on.
 */
function tight(text: string): string {
  const [compared = ''] = text.split(/"traceback":|tensor\(/);
  return compared
    .replace(/(?<=[,:[{\]}"\d]) (?=[[{"\d\-tfn])/g, '')
    .replace(/(\d)\.0\b/g, '$1')
    .replace(/\\u([0-9a-f]{4})/g, (_match, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replace(/"(timestamp|\w*ram_total|\w*ram_free)":\d+/g, '"$1":0');
}

function translated<T>(value: T, names: Names): T {
  return JSON.parse(names.translate(stringify(value)), revive) as T;
}

/** NaN and Infinity must survive the way through text. */
function stringify(value: unknown): string {
  return JSON.stringify(value, (_key, item) =>
    typeof item === 'number' && !Number.isFinite(item) ? { $bare: String(item) } : item,
  );
}

function revive(_key: string, value: unknown): unknown {
  return isRecord(value) && typeof value.$bare === 'string' ? Number(value.$bare) : value;
}

function isStatus(item: unknown): boolean {
  return kindOf(item) === 'text status';
}

/** Type, message type and node of an item: what tells whether two sequences are in step. */
function kindOf(item: unknown): string {
  if (!isRecord(item)) return typeof item;
  const message = isRecord(item.data) ? item.data : {};
  const data = isRecord(message.data) ? message.data : {};
  const node = 'node' in data ? ` ${String(data.node)}` : '';
  return `${String(item.type)} ${String(message.type ?? '')}${node}`.trim();
}

function around(items: readonly unknown[], index: number): string {
  return items
    .slice(Math.max(0, index - 2), index + 6)
    .map(kindOf)
    .join(' | ');
}

function print(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 300 ? `${text.slice(0, 300)}...` : text;
}
