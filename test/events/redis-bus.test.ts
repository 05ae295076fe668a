import { eventBusContract } from './event-bus.contract.ts';
import { Fleet } from './redis-rig.ts';

eventBusContract('the Redis bus', async () => {
  const fleet = new Fleet();
  const [bus, other] = await Promise.all([fleet.started(), fleet.started()]);
  return { bus, other, close: () => fleet.stop() };
});

eventBusContract('the Redis bus within one process', async () => {
  const fleet = new Fleet();
  const bus = await fleet.started();
  return { bus, other: bus, close: () => fleet.stop() };
});
