/**
 * Loaded into the gateway's process before it, beside preload.ts: counts the statements it gives its database, the rows
 * these answer, and the connections it opens to other ports, and keeps the counts where preload.ts finds them.
 */
import { createRequire } from 'node:module';
import { Socket } from 'node:net';

export interface ProcessCounts {
  statements: number;
  rows: number;
  /** Connections begun for a WebSocket, by port. */
  socketDials: Record<string, number>;
  /** The same for anything else. */
  dials: Record<string, number>;
}

const counts: ProcessCounts = { statements: 0, rows: 0, socketDials: {}, dials: {} };
Object.assign(globalThis, { chaosCounts: counts });
/** As the program itself loads them, so that it gets what is changed here. */
const load = createRequire(process.argv[1] ?? import.meta.url);

type Method = (this: unknown, ...given: unknown[]) => unknown;
type Methods = Record<string, Method | undefined>;

/** Replaces a method by one that does the same and shows what it was given and what it answers. */
function onCall(
  object: Methods,
  name: string,
  seen: (answer: unknown, given: readonly unknown[]) => void,
): void {
  const method = object[name];
  if (!method) throw new Error(`there is no ${name} to count`);
  object[name] = function (this: unknown, ...given) {
    const answer = method.apply(this, given);
    seen(answer, given);
    return answer;
  };
}

function countSqlite(): void {
  const { prototype } = load('libsql') as { prototype: object };
  onCall(prototype as Methods, 'prepare', (statement) => {
    // `all` is made of `iterate`
    for (const name of ['run', 'iterate']) {
      onCall(statement as Methods, name, () => {
        counts.statements += 1;
      });
    }
    onCall(statement as Methods, 'all', (rows) => {
      counts.rows += (rows as readonly unknown[]).length;
    });
  });
}

function countPostgres(): void {
  const { Client } = load('pg') as { Client: { prototype: object } };
  onCall(Client.prototype as Methods, 'query', (answer) => {
    counts.statements += 1;
    if (!(answer instanceof Promise)) return;
    const note = (result: { readonly rows?: readonly unknown[] }): void => {
      counts.rows += result.rows?.length ?? 0;
    };
    answer.then(note, () => undefined);
  });
}

interface Dialed {
  readonly port?: number;
  /** Of the request that the connection is for; ws hands them on. */
  readonly headers?: Readonly<Record<string, unknown>>;
}

function countDials(): void {
  onCall(Socket.prototype as unknown as Methods, 'connect', (_socket, [first]) => {
    // what node itself hands on is a list that begins with the options
    const options = (Array.isArray(first) ? first[0] : first) as Dialed | undefined;
    const port = String(options?.port);
    const dials = options?.headers?.Upgrade === 'websocket' ? counts.socketDials : counts.dials;
    dials[port] = (dials[port] ?? 0) + 1;
  });
}

countSqlite();
countPostgres();
countDials();
