/**
 * A Postgres and a Redis of the run's own. The database keeps its promises here (fsync), since what is measured includes
 * them; it ends with the run, whatever happens to that.
 */
import { PostgresServer } from '../../test/support/services/postgres-server.ts';
import { RedisServer } from '../../test/support/services/redis-server.ts';

export interface Servers {
  readonly databaseUrl: string;
  readonly redisUrl: string;
}

const DURABLE = { fsync: 'on', full_page_writes: 'on' };

export async function withServers<T>(work: (servers: Servers) => Promise<T>): Promise<T> {
  const postgres = await PostgresServer.create(DURABLE);
  const redis = await RedisServer.create();
  try {
    await Promise.all([postgres.start(), redis.start()]);
    return await work({ databaseUrl: postgres.url, redisUrl: redis.url });
  } finally {
    await Promise.all([postgres.dispose(), redis.dispose()]);
  }
}
