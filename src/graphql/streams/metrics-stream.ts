/** The figures of the fleet, live: at once, then every so often. */
import { pause } from '../../lib/clock.ts';
import type { FleetFigures } from '../../metrics/fleet-figures.ts';
import type { GraphqlContext } from '../context.ts';
import { stream } from './stream.ts';

export type MetricsContext = Pick<GraphqlContext, 'figures' | 'turns'> & {
  readonly services: Pick<GraphqlContext['services'], 'clock'>;
};

/** Rows come at multiples of the interval after the first; a client that is slow misses those that came due meanwhile. */
export function followMetrics(
  context: MetricsContext,
  intervalMs: number,
): AsyncIterableIterator<FleetFigures> {
  const { clock } = context.services;
  return stream(context, (push) => async (ended) => {
    let dueAt = clock.monotonic();
    do {
      const figures = context.figures.latest();
      // a store that is away shows here, where the stream waits for it, and not in the fields of the row
      await figures.queue();
      await push(figures);
      dueAt += intervalMs * Math.max(1, Math.ceil((clock.monotonic() - dueAt) / intervalMs));
    } while (await pause(clock, dueAt - clock.monotonic(), ended));
  });
}
