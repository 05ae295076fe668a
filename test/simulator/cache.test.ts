import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openRig, plainPrompt, type Rig } from './run-prompt.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await openRig();
});
afterEach(() => rig.close());

const cachedNodes = (entry: Awaited<ReturnType<Rig['run']>>): unknown =>
  entry.status.messages.find(([type]) => type === 'execution_cached')?.[1].nodes;

describe('the node cache', () => {
  test('serves the same graph again, old file names included, whatever the node ids', async () => {
    const first = await rig.run(plainPrompt(1));
    const renamed = {
      a: { class_type: 'EmptyImage', inputs: { width: 16, height: 16, batch_size: 1, color: 1 } },
      b: { class_type: 'SaveImage', inputs: { images: ['a', 0], filename_prefix: 'plain' } },
    };
    const second = await rig.run(renamed);
    expect(cachedNodes(first)).toEqual([]);
    expect(cachedNodes(second)).toEqual(['a', 'b']);
    expect(second.outputs.b).toEqual(first.outputs['2']);
  });

  test('runs only what a changed input reaches', async () => {
    await rig.run(plainPrompt(1, 'one'));
    expect(cachedNodes(await rig.run(plainPrompt(1, 'two')))).toEqual(['1']);
  });

  test('keeps the results of the latest prompt only', async () => {
    await rig.run(plainPrompt(1));
    await rig.run(plainPrompt(2));
    expect(cachedNodes(await rig.run(plainPrompt(1)))).toEqual([]);
  });

  test('is emptied by POST /free', async () => {
    await rig.run(plainPrompt(1));
    await rig.post('/free', { free_memory: true });
    expect(cachedNodes(await rig.run(plainPrompt(1)))).toEqual([]);
  });
});

test('two jobs with different prefixes have different bytes', async () => {
  const one = await rig.file(await rig.run(plainPrompt(1, 'one')), '2');
  const two = await rig.file(await rig.run(plainPrompt(1, 'two')), '2');
  expect(one.equals(two)).toBe(false);
});
