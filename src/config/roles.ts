/** What a process does, and what it needs for that. */

/** `all`: everything in one process. `api`: GraphQL, files, health. `scheduler`: runs jobs, or stands by to. */
export type Role = 'all' | 'api' | 'scheduler';

/** Processes that are not everything by themselves meet in a database, a bus and a storage. */
export function missingForRole(given: Readonly<Record<string, string | undefined>>): string[] {
  const role = given.ROLE;
  if (role !== 'api' && role !== 'scheduler') return [];
  const problems: string[] = [];
  if (!/^postgres(ql)?:/.test(given.DATABASE_URL ?? '')) {
    problems.push(`DATABASE_URL: the role "${role}" needs a postgres:// URL, the same for every process`);
  }
  for (const [name, what] of [
    ['REDIS_URL', 'a redis:// URL'],
    ['STORAGE_URL', 'an s3:// URL, or a file:// URL on a volume that all processes share'],
  ] as const) {
    if (given[name] === undefined) problems.push(`${name}: the role "${role}" needs ${what}`);
  }
  return problems;
}
