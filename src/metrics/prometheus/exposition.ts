/**
 * What /metrics answers: the figures of this process, and while it leads those of the fleet. Made at most once a second,
 * for all who ask; a database that does not answer in time holds nobody up.
 */
import { Registry } from 'prom-client';
import { inTime } from '../../events/in-time.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Store } from '../../store/open.ts';
import { type FleetSamples, readFleetSamples } from './fleet-samples.ts';
import { fleetText } from './fleet-text.ts';
import type { ProcessFigures } from './process-figures.ts';

export interface ExpositionParts {
  readonly figures: ProcessFigures;
  readonly store: Pick<Store, 'db' | 'healthy'>;
  readonly bus: { healthy(): boolean };
  readonly clock: Clock;
  readonly logger: Logger;
  /** This process leads the fleet; absent where there is no scheduler. */
  readonly leads?: (() => boolean) | undefined;
}

const FRESH_MS = 1000;
/** Prometheus gives up after ten seconds as a rule. */
const READ_WITHIN_MS = 3000;
/** Figures that could not be read anew are told so long. */
const KEPT_MS = 60_000;

export class Exposition {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  readonly #parts: ExpositionParts;
  #making: Promise<string> | undefined;
  #made: { readonly at: number; readonly text: string } | undefined;
  /** One at a time, however long it takes. */
  #reading: Promise<FleetSamples> | undefined;
  #read: { readonly at: number; readonly samples: FleetSamples } | undefined;
  #storeUp = false;
  #stale = false;

  constructor(parts: ExpositionParts) {
    this.#parts = parts;
    const { figures, bus, leads } = parts;
    figures.observeProcess();
    figures.ask('store_up', () => Number(this.#storeUp));
    figures.ask('bus_connected', () => Number(bus.healthy()));
    if (!leads) return;
    figures.ask('leader', () => Number(leads()));
    figures.ask('fleet_figures_stale', () => (leads() ? Number(this.#stale) : null));
  }

  /** In Prometheus' text format. */
  async text(): Promise<string> {
    const { clock } = this.#parts;
    if (this.#made && clock.monotonic() - this.#made.at < FRESH_MS) return this.#made.text;
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #make(): Promise<string> {
    const { store, leads, figures, clock } = this.#parts;
    const at = clock.monotonic();
    const [storeUp, fleet] = await Promise.all([store.healthy(), leads?.() ? this.#fleet() : '']);
    this.#storeUp = storeUp;
    const text = `${await figures.text()}\n${fleet}`;
    this.#made = { at, text };
    return text;
  }

  async #fleet(): Promise<string> {
    const { clock } = this.#parts;
    const samples = await inTime(clock, READ_WITHIN_MS, this.#readAnew());
    this.#stale = samples === null;
    if (samples) return fleetText(samples);
    const kept = this.#read;
    return kept && clock.monotonic() - kept.at < KEPT_MS ? fleetText(kept.samples) : '';
  }

  #readAnew(): Promise<FleetSamples> {
    const { store, clock, logger } = this.#parts;
    this.#reading ??= readFleetSamples(store.db, clock.now())
      .then((samples) => {
        this.#read = { at: clock.monotonic(), samples };
        return samples;
      })
      .catch((error: unknown) => {
        logger.warn({ err: error }, 'the figures of the fleet could not be read for /metrics');
        throw error;
      })
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }
}
