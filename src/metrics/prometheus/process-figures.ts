/** What this process counts of itself. It is told by callbacks of those that do the work: they know nothing of figures. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ComfyRequest } from '../../comfyui/http-transport.ts';
import { DROP_REASONS, type DropReason } from '../../events/dropped.ts';
import { PREFIX, PROCESS_METRICS, type ProcessMetric } from './names.ts';

/** An operation of GraphQL, as its report says; see graphql/operation-reports.ts. */
interface OperationFigures {
  readonly type: 'query' | 'mutation' | 'subscription' | null;
  readonly transport: 'http' | 'sse' | 'websocket';
  readonly outcome: 'ok' | 'error';
  readonly codes: readonly string[];
  readonly ms: number;
}

interface RequestFigures {
  /** Template of the path; null where nothing is served. */
  readonly route: string | null;
  readonly method: string;
  readonly status: number;
  readonly ms: number;
}

/** Seconds. */
const SOON = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

let ofNode: Registry | undefined;

/**
 * From the first call to its end the process watches itself: prom-client cannot be told to stop its timer of 50 Hz and its
 * observer of garbage collection. So there is one of each, however many gateways a process has had.
 */
function observedNode(): Registry {
  if (ofNode) return ofNode;
  ofNode = new Registry();
  collectDefaultMetrics({ register: ofNode, eventLoopMonitoringPrecision: 20 });
  return ofNode;
}

export class ProcessFigures {
  readonly #registry = new Registry();
  #ofNode: Registry | undefined;
  readonly #operations = this.#histogram('graphql_request_duration_seconds', SOON);
  readonly #errors = this.#counter('graphql_errors_total');
  readonly #requests = this.#histogram('http_request_duration_seconds', SOON);
  readonly #subscriptions = this.#gauge('subscriptions_active');
  readonly #sockets = this.#gauge('websocket_connections');
  readonly #dropped = this.#counter('dropped_events_total');
  readonly #uploads = this.#counter('upload_bytes_total');
  readonly #comfyui = this.#histogram('comfyui_request_duration_seconds', SOON);

  constructor() {
    // a counter that begins with its first event would hide that one from rates
    for (const reason of DROP_REASONS) this.#dropped.inc({ reason }, 0);
  }

  readonly onOperation = ({ type, transport, outcome, codes, ms }: OperationFigures): void => {
    this.#operations.observe({ operation_type: type ?? 'unknown', transport, outcome }, ms / 1000);
    for (const code of codes) this.#errors.inc({ code });
  };

  readonly onStream = (field: string, by: 1 | -1): void => this.#subscriptions.inc({ field }, by);

  readonly onRequest = ({ route, method, status, ms }: RequestFigures): void => {
    const labels = { route: route ?? 'none', method: METHODS.has(method) ? method : 'other', status };
    this.#requests.observe(labels, ms / 1000);
  };

  readonly onSocket = (by: 1 | -1): void => this.#sockets.inc(by);

  readonly onDropped = (reason: DropReason, count: number): void => this.#dropped.inc({ reason }, count);

  readonly onUpload = (bytes: number): void => this.#uploads.inc(bytes);

  readonly onComfyRequest = ({ route, outcome, ms }: ComfyRequest): void =>
    this.#comfyui.observe({ route, outcome }, ms / 1000);

  /** What Node knows of the process is told too. */
  observeProcess(): void {
    this.#ofNode = observedNode();
  }

  /** A gauge that is asked when it is told; what it answers with null is absent. */
  ask(name: ProcessMetric, answer: () => number | null): void {
    const { help } = PROCESS_METRICS[name];
    new Gauge({
      name: `${PREFIX}${name}`,
      help,
      registers: [this.#registry],
      collect() {
        const value = answer();
        if (value === null) this.remove();
        else this.set(value);
      },
    });
  }

  /** In Prometheus' text format. */
  async text(): Promise<string> {
    const texts = await Promise.all([this.#registry.metrics(), this.#ofNode?.metrics() ?? '']);
    return texts.join('\n');
  }

  #counter(name: ProcessMetric): Counter {
    return new Counter(this.#named(name));
  }

  #gauge(name: ProcessMetric): Gauge {
    return new Gauge(this.#named(name));
  }

  #histogram(name: ProcessMetric, buckets: number[]): Histogram {
    return new Histogram({ ...this.#named(name), buckets });
  }

  #named(name: ProcessMetric) {
    const { help, labels } = PROCESS_METRICS[name];
    return { name: `${PREFIX}${name}`, help, labelNames: labels, registers: [this.#registry] };
  }
}
