/** The noun Instance: a ComfyUI process of the fleet, as its row says. */
import { BREAKER_STATES, INSTANCE_HEALTHS } from '../domain/instance.ts';
import { findInstances, listInstances } from '../store/instances.ts';
import type { Builder } from './builder.ts';
import { globalId, rawId } from './global-id.ts';
import { pageOfInstanceJobs } from './job-page.ts';
import type { Refs } from './refs.ts';

export function addInstance(builder: Builder, refs: Refs): void {
  const InstanceHealth = builder.enumType('InstanceHealth', {
    description:
      'HEALTHY answers; DEGRADED answers with trouble; UNHEALTHY does not; UNKNOWN was not asked yet.',
    values: INSTANCE_HEALTHS,
  });
  const BreakerState = builder.enumType('BreakerState', {
    description:
      'CLOSED takes work; OPEN takes none after failures; HALF_OPEN is tested with a small prompt of the gateway, and takes none until that has passed.',
    values: BREAKER_STATES,
  });
  builder.objectType(refs.Instance, {
    description: 'A ComfyUI process that runs jobs.',
    interfaces: [refs.Node],
    fields: (t) => ({
      id: t.id({ description: 'Opaque id.', resolve: ({ id }) => globalId('Instance', id) }),
      name: t.exposeString('name', { description: 'Its name in this fleet.' }),
      url: t.exposeString('url', { description: 'Its base address, without credentials.' }),
      health: t.field({
        type: InstanceHealth,
        description: 'As the last probes found it.',
        resolve: ({ health }) => health,
      }),
      breaker: t.field({
        type: BreakerState,
        description: 'Whether work is kept from it after failures.',
        resolve: ({ breaker }) => breaker,
      }),
      draining: t.exposeBoolean('draining', { description: 'It finishes what runs and takes nothing new.' }),
      capacity: t.exposeInt('capacity', { description: 'Jobs it may run at once.' }),
      running: t.int({
        description: 'Jobs of ours it has now.',
        resolve: ({ id }, _args, { loaders }) => loaders.running.load(id),
      }),
      lastSeenAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'When it last answered.',
        resolve: ({ lastSeenAt }) => lastSeenAt,
      }),
      lastError: t.exposeString('lastError', { nullable: true, description: 'What went wrong last.' }),
      removedAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'When it was taken out of the fleet.',
        resolve: ({ removedAt }) => removedAt,
      }),
      responseMs: t.exposeFloat('responseMs', {
        nullable: true,
        description: 'Time the last probe took, in ms.',
      }),
      upSince: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'Since when it has been answering.',
        resolve: ({ upSince }) => upSince,
      }),
    }),
  });
  addReadings(builder, refs);
  addInstanceQueries(builder, refs);
}

/** What it says of itself, and the jobs it had. */
function addReadings(builder: Builder, refs: Refs): void {
  builder.objectFields(refs.Instance, (t) => ({
    queueRunning: t.exposeInt('queueRunning', { description: "Prompts running in ComfyUI's own queue." }),
    queuePending: t.exposeInt('queuePending', { description: "Prompts waiting in ComfyUI's own queue." }),
    foreignPrompts: t.exposeInt('foreignPrompts', { description: 'Those of both that are not ours.' }),
    comfyuiVersion: t.exposeString('comfyuiVersion', {
      nullable: true,
      description: 'Version it reports.',
    }),
    gpu: t.exposeString('gpu', { nullable: true, description: 'Device it reports.' }),
    vramTotalBytes: t.exposeFloat('vramTotalBytes', {
      nullable: true,
      description: 'Memory of the device, in bytes.',
    }),
    vramFreeBytes: t.exposeFloat('vramFreeBytes', {
      nullable: true,
      description: 'Free memory of the device, in bytes.',
    }),
    loadedModels: t.stringList({
      description:
        'Model files it most likely has in memory now, inferred from what it ran last; forgotten when it restarts or is told to free its memory.',
      resolve: ({ loadedModels }) => loadedModels,
    }),
    jobs: t.field({
      type: refs.JobConnection,
      description: 'Jobs that run or ran last here, newest first.',
      args: {
        first: t.arg.int({ description: 'At most so many; 1 to 100, default 20.' }),
        after: t.arg.string({ description: 'Only those after this cursor.' }),
      },
      resolve: ({ id }, { first, after }, context) => pageOfInstanceJobs(context, { first, after }, id),
    }),
  }));
}

function addInstanceQueries(builder: Builder, refs: Refs): void {
  builder.queryFields((t) => ({
    instance: t.field({
      type: refs.Instance,
      nullable: true,
      description: 'One instance by its id; null when there is none.',
      args: { id: t.arg.id({ required: true, description: 'Id of the instance.' }) },
      resolve: async (_root, { id }, { services }) => {
        const raw = rawId(id, 'Instance');
        return raw === null ? null : ((await findInstances(services.store.db, [raw]))[0] ?? null);
      },
    }),
    instances: t.field({
      type: [refs.Instance],
      description: 'The instances of the fleet, by name; without those taken out of it.',
      resolve: (_root, _args, { services }) => listInstances(services.store.db),
    }),
  }));
}
