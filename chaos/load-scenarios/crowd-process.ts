/** A process full of subscribers, driven by crowd.ts over the channel it was forked with. Ends when that channel does. */
import { randomFrom } from '../scenario.ts';
import type { CrowdAnswer, CrowdOrder, Standing } from './crowd.ts';
import { Subscriber } from './subscriber.ts';

const subscribers: Subscriber[] = [];
const TICK_MS = 10;

/** Begins them evenly over the time. */
async function begin({ orders, overMs, seed }: Extract<CrowdOrder, { kind: 'begin' }>): Promise<void> {
  const random = randomFrom(seed);
  const startedAt = performance.now();
  let begun = 0;
  for (const order of orders) {
    const subscriber = new Subscriber(order, random);
    subscribers.push(subscriber);
    while (performance.now() - startedAt < (begun / orders.length) * overMs) await pause();
    subscriber.connect();
    begun += 1;
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, TICK_MS));
}

function standing(): Standing {
  const count = (fits: (one: Subscriber) => boolean): number => subscribers.filter(fits).length;
  return {
    all: subscribers.length,
    connected: count((one) => one.connected),
    settled: count((one) => one.settled),
    completed: count((one) => one.completed),
  };
}

function answer(message: CrowdAnswer): void {
  // nobody is told that the other end has gone: `disconnect` ends this process then
  process.send?.(message, undefined, undefined, () => undefined);
}

process.on('message', (order: CrowdOrder) => {
  if (order.kind === 'begin') void begin(order).then(() => answer({ kind: 'begun' }));
  else if (order.kind === 'standing') answer({ kind: 'standing', standing: standing() });
  else if (order.kind === 'stories')
    answer({ kind: 'stories', stories: subscribers.map((one) => one.story()) });
  else for (const one of subscribers.splice(0)) one.leave();
});
process.on('disconnect', () => process.exit(0));
answer({ kind: 'ready' });
