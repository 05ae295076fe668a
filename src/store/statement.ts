/**
 * Statements that are built once and run often. Building and compiling a query costs several times what SQLite needs to
 * answer it; a job's own statements therefore go through here. Queries whose shape hardly ever repeats stay with the
 * ordinary builder.
 */
import type { Compilable, CompiledQuery, QueryResult } from 'kysely';
import type { Db } from './open.ts';

/**
 * Runs the statement on the store or in a transaction; throws a TypeError when a value it names is not given. Undefined
 * values and the lengths of lists are the shape of the statement, all else only fills it.
 */
export type Statement<V extends object, R> = (db: Db, values: V) => Promise<QueryResult<R>>;

type Named = Readonly<Record<string, unknown>>;

/** Lists longer than this would make too many shapes to keep. */
const LONGEST_KEPT_LIST = 4;

/** Stands for a value while the statement is built. Must never reach the driver, which would refuse it. */
class Placeholder {
  readonly name: string;
  /** Place in a list; null for a value that is none. */
  readonly index: number | null;

  constructor(name: string, index: number | null = null) {
    this.name = name;
    this.index = index;
  }
}

/**
 * `build` is called once for each shape and dialect, with placeholders of the values' names: they may be bound to a
 * column or compared with one, and nothing else may be asked of them (but whether they are undefined).
 */
export function statement<V extends object, R>(build: (q: Db, p: V) => Compilable<R>): Statement<V, R> {
  // The adapter is the one thing that a database and all its transactions share.
  const kept = new WeakMap<object, Map<string, CompiledQuery<R>>>();
  return async (db, given) => {
    const values = given as Named;
    const shape = shapeOf(values);
    const { adapter } = db.getExecutor();
    let compiled = shape === null ? undefined : kept.get(adapter)?.get(shape);
    if (!compiled) {
      compiled = build(db, placeholders(values) as V).compile();
      if (shape !== null) keep(kept, adapter, shape, compiled);
    }
    return db.executeQuery({
      ...compiled,
      parameters: compiled.parameters.map((item) => fill(item, values)),
    });
  };
}

function keep<T>(kept: WeakMap<object, Map<string, T>>, adapter: object, shape: string, compiled: T): void {
  const known = kept.get(adapter);
  if (known) known.set(shape, compiled);
  else kept.set(adapter, new Map([[shape, compiled]]));
}

/** Equal for values that make the same text; null when the statement is not worth keeping. */
function shapeOf(values: Named): string | null {
  let shape = '';
  for (const name in values) {
    const value = values[name];
    if (value === undefined) shape += `,${name}-`;
    else if (!Array.isArray(value)) shape += `,${name}`;
    else if (value.length <= LONGEST_KEPT_LIST) shape += `,${name}*${value.length}`;
    else return null;
  }
  return shape;
}

function placeholders(values: Named): Named {
  const all: Record<string, unknown> = {};
  for (const name in values) {
    const value = values[name];
    if (Array.isArray(value)) all[name] = value.map((_, index) => new Placeholder(name, index));
    else all[name] = value === undefined ? undefined : new Placeholder(name);
  }
  // Named like the values, so that whole rows can be spread; a name that was not given is no undefined column.
  return new Proxy(all, {
    get(target, name) {
      if (typeof name === 'string' && !(name in target)) throw missing(name);
      return Reflect.get(target, name);
    },
  });
}

function fill(item: unknown, values: Named): unknown {
  if (!(item instanceof Placeholder)) return item;
  const given = values[item.name];
  const value = item.index === null ? given : Array.isArray(given) ? given[item.index] : undefined;
  if (value === undefined) throw missing(item.name);
  return value;
}

function missing(name: string): TypeError {
  return new TypeError(`a statement was not given its value: ${name}`);
}
