/** What an operator may do with the instances of the fleet: add, drain, resume, probe, free, remove. */
import type { Instance } from '../domain/instance.ts';
import type { FleetAnswer } from '../fleet/fleet-writer.ts';
import type { Builder } from './builder.ts';
import type { GraphqlContext } from './context.ts';
import type { FailureRefs } from './failure-types.ts';
import { notDone, notFound, validationFailure } from './failures.ts';
import { globalId, rawId } from './global-id.ts';
import type { Refs } from './refs.ts';

interface InstanceSuccess {
  readonly __typename: 'InstanceSuccess';
  readonly instance: Instance;
}

interface RemoveInstanceSuccess {
  readonly __typename: 'RemoveInstanceSuccess';
  readonly removedInstanceId: string;
}

function addInstanceInput(builder: Builder) {
  return builder.inputType('InstanceInput', {
    description: 'Which instance.',
    fields: (t) => ({ id: t.id({ required: true, description: 'Id of the instance.' }) }),
  });
}

type InstanceInputRef = ReturnType<typeof addInstanceInput>;

function addInstanceResult(builder: Builder, refs: Refs, failures: FailureRefs) {
  const Success = builder.objectRef<InstanceSuccess>('InstanceSuccess').implement({
    description:
      'It was done, or will be: this answers within five seconds, and what the leader did not get to by then is done as soon as it does.',
    fields: (t) => ({
      instance: t.field({
        type: refs.Instance,
        description: 'The instance as it stands now.',
        resolve: ({ instance }) => instance,
      }),
    }),
  });
  return builder.unionType('InstanceResult', {
    description: 'What became of it.',
    types: [Success, failures.ValidationError, failures.NotFoundError, failures.NotDoneError],
    resolveType: ({ __typename }) => __typename,
  });
}

type InstanceResultRef = ReturnType<typeof addInstanceResult>;

export function addInstanceMutations(builder: Builder, refs: Refs, failures: FailureRefs): void {
  const InstanceInput = addInstanceInput(builder);
  const InstanceResult = addInstanceResult(builder, refs, failures);
  addAdd(builder, InstanceResult);
  addChanges(builder, InstanceResult, InstanceInput);
  addRemove(builder, failures, InstanceInput);
}

function addAdd(builder: Builder, InstanceResult: InstanceResultRef): void {
  const AddInstanceInput = builder.inputType('AddInstanceInput', {
    description: 'A ComfyUI that is to run jobs.',
    fields: (t) => ({
      url: t.string({
        required: true,
        description:
          'Its base address, http or https; a path in it is kept in front of every route, a user and password are sent as basic auth and shown to nobody.',
      }),
      name: t.string({
        description:
          'What to call it, 1 to 100 characters, of no other instance; default: its host and path.',
      }),
      capacity: t.int({
        description: 'Jobs it may run at once, 1 to 64; default: MAX_JOBS_PER_INSTANCE.',
      }),
    }),
  });
  builder.mutationField('addInstance', (t) =>
    t.field({
      type: InstanceResult,
      description:
        'Adds an instance to the fleet; it gets jobs once it answers. It stays until it is removed, over restarts. Added twice it is there once: the second answer is a ValidationError that names it.',
      args: { input: t.arg({ type: AddInstanceInput, required: true, description: 'Which one.' }) },
      resolve: async (_root, { input: { url, name, capacity } }, context) => {
        const { services, shutdown } = context;
        const added = { url, name: name ?? null, capacity: capacity ?? null };
        const usual = services.config.maxJobsPerInstance;
        return answer(context, 'add', await services.fleet.add(added, usual, shutdown));
      },
    }),
  );
}

function addChanges(
  builder: Builder,
  InstanceResult: InstanceResultRef,
  InstanceInput: InstanceInputRef,
): void {
  builder.mutationFields((t) => {
    const change = (description: string, what: string, carryOut: CarryOut) =>
      t.field({
        type: InstanceResult,
        description,
        args: { input: t.arg({ type: InstanceInput, required: true, description: 'Which instance.' }) },
        resolve: async (_root, { input }, context) => {
          const id = rawId(input.id, 'Instance');
          return id === null ? notFound('instance') : answer(context, what, await carryOut(context, id));
        },
      });
    return {
      drainInstance: change(
        'It finishes what runs and takes nothing new, over restarts, until it is resumed. That holds from when the leader knows of it: as a rule before this answers, which it does within five seconds.',
        'drain',
        ({ services, shutdown }, id) => services.fleet.setDraining(id, true, shutdown),
      ),
      resumeInstance: change('It takes jobs again.', 'resume', ({ services, shutdown }, id) =>
        services.fleet.setDraining(id, false, shutdown),
      ),
      probeInstance: change(
        'Asks it how it is and which node types and model files it has, now; the answer has what was found.',
        'probe',
        ({ services, shutdown }, id) => services.fleet.probe(id, shutdown),
      ),
      freeInstanceMemory: change(
        'Has it unload its models and free its memory, which ComfyUI does between two prompts.',
        'free',
        ({ services, shutdown }, id) => services.fleet.free(id, shutdown),
      ),
    };
  });
}

type CarryOut = (context: GraphqlContext, id: string) => Promise<FleetAnswer>;

function addRemove(builder: Builder, failures: FailureRefs, InstanceInput: InstanceInputRef): void {
  const Success = builder.objectRef<RemoveInstanceSuccess>('RemoveInstanceSuccess').implement({
    description: 'It left the fleet.',
    fields: (t) => ({
      removedInstanceId: t.exposeID('removedInstanceId', {
        description: 'Its id, which `instance` still answers to: jobs ran on it.',
      }),
    }),
  });
  const RemoveInstanceResult = builder.unionType('RemoveInstanceResult', {
    description: 'What became of removing.',
    types: [Success, failures.NotFoundError, failures.ValidationError],
    resolveType: ({ __typename }) => __typename,
  });
  builder.mutationField('removeInstance', (t) =>
    t.field({
      type: RemoveInstanceResult,
      description:
        'Takes it out of the fleet: its prompts of ours are stopped, their jobs go back to their places at no charge and run elsewhere. One that COMFYUI_INSTANCES names can only be drained: a ValidationError.',
      args: { input: t.arg({ type: InstanceInput, required: true, description: 'Which instance.' }) },
      resolve: async (_root, { input }, { services, shutdown, log }) => {
        const id = rawId(input.id, 'Instance');
        if (id === null) return notFound('instance');
        const removed = await services.fleet.remove(id, shutdown);
        log.info({ instance: id, result: removed.kind }, 'removal of an instance asked');
        if (removed.kind === 'not-found') return notFound('instance');
        if (removed.kind === 'invalid') return validationFailure(removed.issues);
        const removedInstanceId = globalId('Instance', id);
        return { __typename: 'RemoveInstanceSuccess', removedInstanceId } as const;
      },
    }),
  );
}

function answer({ log }: GraphqlContext, what: string, changed: FleetAnswer) {
  const instance = changed.kind === 'instance' ? changed.instance : null;
  log.info({ what, result: changed.kind, instance: instance?.id }, 'a change of the fleet asked');
  switch (changed.kind) {
    case 'invalid':
      return validationFailure(changed.issues);
    case 'not-found':
      return notFound('instance');
    case 'instance':
      if (changed.undone !== null) return notDone(changed.undone);
      return { __typename: 'InstanceSuccess', instance: changed.instance } as const;
  }
}
