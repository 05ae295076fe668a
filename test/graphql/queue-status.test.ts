import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config.ts';
import type { BreakerState } from '../../src/domain/instance.ts';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { PlaceBoard } from '../../src/graphql/place-board.ts';
import { readQueueStatus } from '../../src/graphql/queue-status.ts';
import type { Services } from '../../src/graphql/services.ts';
import { Gate } from '../../src/lib/gate.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { upsertConfigured } from '../../src/store/instances.ts';
import { putJob } from '../support/job-rows.ts';
import { openTempStore, type TempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

describe('the queue as a whole', () => {
  let temp: TempStore;
  const clock = new VirtualClock();
  const bus = new MemoryBus();
  beforeEach(async () => {
    temp = await openTempStore();
    await bus.start();
  });
  afterEach(async () => {
    await bus.stop();
    await temp.close();
  });

  function status() {
    const services = {
      store: temp.store,
      bus,
      clock,
      logger: createLogger('silent'),
      config: parseConfig({}),
    };
    const board = new PlaceBoard(services, new Gate(1), new AbortController().signal);
    return readQueueStatus(services as unknown as Services, board);
  }

  it('is drained when nothing waits or runs, whatever the leader thought last', async () => {
    const drainedAt = clock.now() + 9000;
    bus.publishSurvey({
      at: clock.now(),
      front: [['gone', null]],
      streams: [],
      stranded: [],
      capped: [],
      drainedAt,
    });
    expect(await status()).toMatchObject({ pending: 0, processing: 0, estimatedDrainMs: 0 });
    await putJob(temp.store.db, { id: 'waits' });
    expect(await status()).toMatchObject({ pending: 1, estimatedDrainMs: 9000 });
  });

  it('is not said to be drained while something waits or runs, when the forecast has passed', async () => {
    const at = clock.now();
    bus.publishSurvey({ at, front: [], streams: [], stranded: [], capped: [], drainedAt: at });
    await putJob(temp.store.db, { id: 'waits' });
    expect(await status()).toMatchObject({ pending: 1, estimatedDrainMs: null });
  });

  it('has the places of instances that take work, not of those put aside or being tested', async () => {
    for (const [id, breaker] of [
      ['well', 'CLOSED'],
      ['aside', 'OPEN'],
      ['tested', 'HALF_OPEN'],
    ] satisfies [string, BreakerState][]) {
      const configured = { id, name: id, url: `http://${id}.test`, capacity: 2 };
      await upsertConfigured(temp.store.db, configured, clock.now());
      await temp.store.db
        .updateTable('instances')
        .set({ health: 'HEALTHY', breaker })
        .where('id', '=', id)
        .execute();
    }
    expect((await status()).capacity).toBe(2);
  });
});
