/** JSON as an enemy writes it: well-formed answers twisted here and there, texts that are no JSON, and far too much of it. */
import type { Json, JsonObject } from '../../src/lib/json.ts';

export type Random = () => number;

/** One of them, each as likely as the others. */
export function oneOf<T>(random: Random, choices: readonly [T, ...T[]]): T {
  return choices[Math.floor(random() * choices.length)] ?? choices[0];
}

const ODD_TEXTS = [
  '',
  '\u0000',
  '\ud800',
  '__proto__',
  'constructor',
  '../../../../etc/passwd',
  '‮gnp.exe',
  'NaN',
  '%00%2e%2e%2f',
  '<script>alert(1)</script>',
  "'; DROP TABLE jobs; --",
  'ü'.repeat(300),
] as const;
const ODD_NUMBERS = [
  0,
  -1,
  0.5,
  -0.5,
  2 ** 31,
  2 ** 53,
  -(2 ** 53),
  1e300,
  5e-324,
  Number.MAX_VALUE,
] as const;

export function oddText(random: Random): string {
  return random() < 0.9 ? oneOf(random, ODD_TEXTS) : 'x'.repeat(Math.floor(random() * 200_000));
}

export function oddNumber(random: Random): number {
  return oneOf(random, ODD_NUMBERS);
}

/** A small value of any type. */
export function anyJson(random: Random, depth = 2): Json {
  const leaf = oneOf<Json>(random, [null, true, false, oddNumber(random), oddText(random)]);
  if (depth === 0 || random() < 0.6) return leaf;
  const items = Array.from({ length: Math.floor(random() * 4) }, () => anyJson(random, depth - 1));
  if (random() < 0.5) return items;
  return Object.fromEntries(items.map((item, index) => [index === 0 ? '__proto__' : `k${index}`, item]));
}

/** The same value with about `rate` of its parts replaced, left out or doubled. */
export function twisted(value: Json, random: Random, rate = 0.15): Json {
  if (random() < rate) return anyJson(random);
  if (Array.isArray(value)) {
    const items = value.flatMap((item) => {
      const other = twisted(item, random, rate);
      return random() < rate / 2 ? [other, other] : random() < rate / 2 ? [] : [other];
    });
    return items;
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).flatMap(([key, item]): [string, Json][] =>
    random() < rate / 2 ? [] : [[key, twisted(item, random, rate)]],
  );
  if (random() < rate) entries.push([oddText(random), anyJson(random)]);
  return Object.fromEntries(entries);
}

/** Lists in lists in lists; with `closed` false the text breaks off. */
export function deep(levels: number, closed: boolean): string {
  return '['.repeat(levels) + (closed ? ']'.repeat(levels) : '');
}

/** The object with so many more bytes in it, as one text or as very many small fields. */
export function heavy(value: JsonObject, bytes: number, random: Random): string {
  const text = JSON.stringify(value).slice(1);
  const comma = text === '}' ? '' : ',';
  if (random() < 0.5) return `{"padding":"${'y'.repeat(bytes)}"${comma}${text}`;
  return `{"padding":[${'{"a":[0]},'.repeat(Math.ceil(bytes / 10))}0]${comma}${text}`;
}

/** Every key twice, the second time with something else. */
export function doubled(value: JsonObject, random: Random): string {
  const fields = Object.entries(value).flatMap(([key, item]) => [
    `${JSON.stringify(key)}:${JSON.stringify(item)}`,
    `${JSON.stringify(key)}:${JSON.stringify(anyJson(random))}`,
  ]);
  return `{${fields.join(',')}}`;
}

/** Numbers as Python writes those that JSON does not have. */
export function withBareNumbers(value: Json, random: Random): string {
  const bare = ['NaN', 'Infinity', '-Infinity', '1e999', '-1e999'] as const;
  return JSON.stringify(value).replace(/(?<=[:,[])-?\d+(\.\d+)?(?=[,}\]])/g, (digits) =>
    random() < 0.7 ? oneOf(random, bare) : digits,
  );
}
