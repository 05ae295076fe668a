/** Who a server runs as: Postgres refuses root. */
import { existsSync, readFileSync } from 'node:fs';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const UNPRIVILEGED = ['postgres', 'nobody'];

/** Somebody of this machine without rights; undefined where the tests do not run as root anyway. */
export function unprivileged(): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const lines = existsSync('/etc/passwd') ? readFileSync('/etc/passwd', 'utf8').split('\n') : [];
  const users = new Map(
    lines.map((line) => line.split(':')).map(([name, , uid, gid]) => [name, { uid, gid }]),
  );
  for (const name of UNPRIVILEGED) {
    const user = users.get(name);
    if (user) return { uid: Number(user.uid), gid: Number(user.gid) };
  }
  throw new Error(`root cannot run Postgres, and this machine has no user ${UNPRIVILEGED.join(' or ')}`);
}
