/** A fleet that takes over from another one, whose process is frozen or cut off and still has its sockets. */
import { describe, expect, it } from 'vitest';
import type { Fleet } from '../../src/fleet/fleet.ts';
import { findClientId } from '../../src/store/instances.ts';
import { eventually } from '../support/eventually.ts';
import { simulator, startFleet, tempStore } from './fleet-rig.ts';

const SLEEP = { class_type: 'RigSleep', inputs: { seconds: 60, steps: 600, preview: 'none', salt: 1 } };
const SAVE = { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'x' } };

async function rig() {
  const temp = await tempStore();
  const one = await simulator();
  const first = await startFleet(temp, [one.url]);
  await eventually(() => first.instances()[0]?.listening);
  const id = first.members()[0]?.id ?? '';
  const stored = async () => (await findClientId(temp.store.db, id)) ?? '';
  const successor = () => startFleet(temp, [one.url]);
  /** A prompt of the fleet, posted under the client id. */
  const post = async (fleet: Fleet, clientId: string) => {
    const extra_data = { comfyfleet: { fleet: fleet.id, job: 'j', attempt: 'a' } };
    const body = JSON.stringify({ prompt: { '1': SLEEP, '2': SAVE }, extra_data, client_id: clientId });
    await fetch(`${one.url}/prompt`, { method: 'POST', body });
  };
  return { one, first, stored, successor, post };
}

const hears = (fleet: Fleet, clientId: string): boolean => fleet.members()[0]?.hears(clientId) ?? false;

describe('a fleet that takes over', () => {
  it('has a client id of its own where nothing runs, so that the old socket may close when it likes', async () => {
    const { first, stored, successor } = await rig();
    const before = await stored();
    const second = await successor();
    await eventually(() => second.instances()[0]?.listening);
    expect(await stored()).not.toBe(before);
    await first.stop();
    expect(hears(second, await stored())).toBe(true);
  });

  it('hears what runs under the stored id, and has one of its own before it posts anything else', async () => {
    const { one, first, stored, successor, post } = await rig();
    const before = await stored();
    await post(first, before);
    const second = await successor();
    await eventually(() => hears(second, before));
    const heard: string[] = [];
    second.listen({ onMessage: (_id, message, clientId) => heard.push(`${message.kind} ${clientId}`) });
    await eventually(() => heard.includes(`progressState ${before}`));

    await fetch(`${one.url}/interrupt`, { method: 'POST', body: '{}' });
    await eventually(() => one.control.executions()[0]?.outcome === 'interrupted');
    second.members()[0]?.readyForPrompt();
    expect(second.members()[0]?.isDialing).toBe(true);
    await eventually(() => second.members()[0]?.isDialing === false);
    const after = await stored();
    expect(after).not.toBe(before);
    await first.stop();
    await post(second, after);
    await eventually(() => heard.includes(`progressState ${after}`));
  });
});
