/** The noun Health: what /health says, as data. */
import type { Builder } from './builder.ts';
import { HEALTH_STATUSES } from './health-report.ts';
import type { Refs } from './refs.ts';

export function addHealth(builder: Builder, refs: Refs): void {
  const HealthStatus = builder.enumType('HealthStatus', {
    description:
      'HEALTHY: all is well. DEGRADED: work goes on but something is wrong, or there are no instances yet. CRITICAL: no job can make progress.',
    values: HEALTH_STATUSES,
  });
  builder.objectType(refs.HealthCheck, {
    description: 'One thing that was looked at.',
    fields: (t) => ({
      name: t.exposeString('name', {
        description: 'scheduler, store, bus, storage, metrics, instances, or "instance" and its name.',
      }),
      ok: t.exposeBoolean('ok', { description: 'It is well.' }),
      message: t.exposeString('message', { nullable: true, description: 'What was found.' }),
    }),
  });
  builder.objectType(refs.Health, {
    description: 'How the gateway is.',
    fields: (t) => ({
      status: t.field({ type: HealthStatus, description: 'All in all.', resolve: ({ status }) => status }),
      version: t.exposeString('version', { description: 'Version of the gateway.' }),
      uptimeMs: t.exposeFloat('uptimeMs', { description: 'Since it started, in ms.' }),
      instancesTotal: t.exposeInt('instancesTotal', { description: 'Instances of the fleet.' }),
      instancesHealthy: t.exposeInt('instancesHealthy', { description: 'Those that are HEALTHY.' }),
      activeJobs: t.exposeInt('activeJobs', { description: 'Jobs that wait or run.' }),
      checks: t.field({
        type: [refs.HealthCheck],
        description: 'Everything that was looked at.',
        resolve: ({ checks }) => checks,
      }),
    }),
  });
  builder.queryField('health', (t) =>
    t.field({
      type: refs.Health,
      description: 'How the gateway is now.',
      resolve: (_root, _args, { services }) => services.health(),
    }),
  );
}
