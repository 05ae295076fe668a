/** Models come and go while a gateway runs: jobs wait for them, and users look where they are. */
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { changeInstance, instances as instancesOf } from '../support/fleet-commands.ts';
import { ended, jobThat, submitGraph, submitting } from '../support/jobs.ts';
import { healthyInstances, type RunningGateway, startGateway } from '../support/running-gateway.ts';

const upscale = (model_name: string) => ({
  '1': { class_type: 'EmptyImage', inputs: { width: 64, height: 64, batch_size: 1, color: 0 } },
  '2': { class_type: 'UpscaleModelLoader', inputs: { model_name } },
  '3': { class_type: 'ImageUpscaleWithModel', inputs: { upscale_model: ['2', 0], image: ['1', 0] } },
  '4': { class_type: 'PreviewImage', inputs: { images: ['3', 0] } },
});
const HAS_RARE = { models: { upscale_models: ['rare.pth'] } };
const HAS_NOT = { models: { upscale_models: ['common.pth'] } };

interface ModelRow {
  readonly name: string;
  readonly kind: string;
  readonly instances: readonly { readonly name: string }[];
}

/** `kind/name: instances`, as the query answers. */
async function models({ client }: RunningGateway, args = ''): Promise<string[]> {
  const answer = await client.run<{ models: readonly ModelRow[] }>(
    `{ models${args} { name kind instances { name } } }`,
  );
  return answer.models.map(
    ({ name, kind, instances }) => `${kind} ${name}: ${instances.map((instance) => instance.name).join(' ')}`,
  );
}

describe('models of a fleet', () => {
  it('are found by kind and by a part of the name, with the instances that have them', async () => {
    const folders = { loras: ['style/Ink.safetensors'], embeddings: ['easynegative.pt'] };
    const gateway = await startGateway({
      instances: [
        { models: { ...folders, ...HAS_RARE.models } },
        { models: { ...folders, checkpoints: ['Ink.safetensors'], upscale_models: [] } },
      ],
    });
    await eventually(async () => (await models(gateway, '(kind: LORA)'))[0]?.endsWith('gpu1 gpu2'));
    expect(await models(gateway, '(kind: LORA)')).toEqual(['LORA style/Ink.safetensors: gpu1 gpu2']);
    expect(await models(gateway, '(kind: EMBEDDING)')).toEqual(['EMBEDDING easynegative: gpu1 gpu2']);
    expect(await models(gateway, '(name: "iNK")')).toEqual([
      'CHECKPOINT Ink.safetensors: gpu2',
      'LORA style/Ink.safetensors: gpu1 gpu2',
    ]);
    expect(await models(gateway, '(kind: UPSCALER)')).toEqual(['UPSCALER rare.pth: gpu1']);
    expect(await models(gateway, '(name: "nowhere")')).toEqual([]);
  });

  it('are waited for when they went away, and the job starts when some instance gets them', async () => {
    const gateway = await startGateway({
      instances: [HAS_NOT, HAS_RARE],
      config: { inventoryRefreshMs: 100 },
    });
    const { client, instances } = gateway;
    const has = (name: string) =>
      eventually(async () => (await models(gateway, '(name: "rare")'))[0]?.endsWith(name));
    await has('rare.pth: gpu2');
    const refused = await submitting(client, 'submitJob', { graph: upscale('nowhere.pth') });
    expect(refused).toMatchObject({
      __typename: 'NotRunnableError',
      message: 'no instance has model nowhere.pth',
      missingModels: ['nowhere.pth'],
    });

    await instances[1]?.control.crash();
    await healthyInstances(gateway, 1);
    const { id } = await submitGraph(client, upscale('rare.pth'));
    const waiting = await jobThat(client, id, (job) => job.queue?.blockedBy?.includes('rare.pth') === true);
    expect(waiting.queue?.blockedBy).toBe(
      'no healthy instance has model rare.pth (gpu1 lacks it; gpu2 has it, but cannot take jobs now)',
    );

    instances[0]?.control.adjust(HAS_RARE);
    const job = await ended(client, id);
    expect(job).toMatchObject({ status: 'COMPLETED', instance: { name: 'gpu1' }, attempts: [{ number: 1 }] });
  });

  it('that are new on an instance are known once it is probed', async () => {
    const gateway = await startGateway({ instances: [HAS_NOT] });
    const { client, instances } = gateway;
    await eventually(async () => (await models(gateway)).includes('UPSCALER common.pth: gpu1'));
    instances[0]?.control.adjust(HAS_RARE);
    const refused = await submitting(client, 'submitJob', { graph: upscale('rare.pth') });
    expect(refused).toMatchObject({ __typename: 'NotRunnableError' });

    const [{ id = '' } = {}] = await instancesOf(client);
    expect(await changeInstance(client, 'probeInstance', id)).toMatchObject({
      __typename: 'InstanceSuccess',
    });
    const job = await submitGraph(client, upscale('rare.pth'), { waitMs: 20_000 });
    expect(job.status).toBe('COMPLETED');
  });

  it('that an instance lost unnoticed cost a try, not the job, which then runs where they are', async () => {
    const gateway = await startGateway({ instances: [HAS_RARE, HAS_NOT] });
    const { client, instances } = gateway;
    await eventually(async () => (await models(gateway)).includes('UPSCALER rare.pth: gpu1'));
    instances[0]?.control.adjust({ models: { upscale_models: ['another.pth'] } });
    const { id } = await submitGraph(client, upscale('rare.pth'));
    const waiting = await jobThat(client, id, (job) => job.queue?.blockedBy?.includes('rare.pth') === true);
    expect(waiting.queue?.blockedBy).toBe('no healthy instance has model rare.pth (gpu1 and gpu2 lack it)');
    expect(await models(gateway, '(name: "rare")')).toEqual([]);

    instances[1]?.control.adjust(HAS_RARE);
    await instances[1]?.control.restart();
    expect(await ended(client, id)).toMatchObject({
      status: 'COMPLETED',
      attempts: [{ instanceName: 'gpu1' }, { instanceName: 'gpu2' }],
    });
  });
});
