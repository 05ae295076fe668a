/** The programs that tests run beside the gateway, and where a machine may have them. */
import type { Wanted } from './programs.ts';

export const POSTGRES: Wanted = {
  name: 'Postgres',
  commands: ['postgres', 'initdb'],
  folders: ['/usr/lib/postgresql/*/bin', '/usr/pgsql-*/bin', '/opt/homebrew/opt/postgresql@*/bin'],
  packages: ['postgresql'],
  image: 'postgres:16-alpine',
};

export const REDIS: Wanted = {
  name: 'Redis',
  commands: ['redis-server'],
  packages: ['redis-server'],
  image: 'redis:7-alpine',
};

export const NGINX: Wanted = {
  name: 'nginx',
  commands: ['nginx'],
  packages: ['nginx-light'],
};

/** Makes certificates. */
export const OPENSSL: Wanted = {
  name: 'OpenSSL',
  commands: ['openssl'],
  packages: ['openssl'],
};

/** OpenStack Swift, which speaks S3. */
export const SWIFT: Wanted = {
  name: 'Swift',
  commands: ['swift-proxy-server', 'swift-account-server', 'swift-container-server', 'swift-object-server'],
  packages: ['swift-proxy', 'swift-account', 'swift-container', 'swift-object'],
};

/** Reads /metrics, and says whether dashboards and alert rules are right. */
export const PROMETHEUS: Wanted = {
  name: 'Prometheus',
  commands: ['prometheus', 'promtool'],
  packages: ['prometheus'],
};

/** Everything that a run of all tests needs. */
export const WANTED: readonly Wanted[] = [POSTGRES, REDIS, NGINX, OPENSSL, SWIFT, PROMETHEUS];
