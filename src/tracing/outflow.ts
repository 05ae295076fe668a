/**
 * What is on its way to the collector, and what got lost: at most so many spans wait, however slow it is. A disturbance is
 * said once, and its end, with the number of spans that it cost.
 *
 *   flowing ── a batch was not taken, or too many wait ──▶ disturbed
 *      ▲                                                      │
 *      └──────────────── a batch was taken ───────────────────┘
 */
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Logger } from '../lib/logger.ts';

type ExportDone = Parameters<SpanExporter['export']>[1];

/** Of ExportResultCode, which is no export of the SDK's. */
const SUCCESS = 0;

export class Outflow implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #most: number;
  readonly #logger: Logger;
  #waiting = 0;
  /** Since the disturbance began; null while all flows. */
  #lost: number | null = null;

  constructor(exporter: SpanExporter, most: number, logger: Logger) {
    this.#exporter = exporter;
    this.#most = most;
    this.#logger = logger;
  }

  /** Whether there is room for one more; else it is lost. */
  admit(): boolean {
    if (this.#waiting < this.#most) {
      this.#waiting++;
      return true;
    }
    this.#lose(1, 'the collector is too slow');
    return false;
  }

  export(spans: ReadableSpan[], done: ExportDone): void {
    this.#exporter.export(spans, (result) => {
      this.#waiting -= spans.length;
      if (result.code === SUCCESS) this.#taken();
      else this.#lose(spans.length, result.error?.message || 'the collector did not take them');
      done(result);
    });
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  #lose(count: number, reason: string): void {
    if (this.#lost === null)
      this.#logger.warn({ reason }, 'traces do not get to the collector: they are lost');
    this.#lost = (this.#lost ?? 0) + count;
  }

  #taken(): void {
    if (this.#lost !== null) this.#logger.info({ lost: this.#lost }, 'traces get to the collector again');
    this.#lost = null;
  }
}
