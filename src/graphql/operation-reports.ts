/**
 * Tells of every operation once, whatever it comes to and over whichever transport: when it was answered or refused, a
 * subscription when it ends. Figures and logs are made of it. What it asked for is not told: only its kind and name.
 */
import { type DocumentNode, type ExecutionResult, getOperationAST, Kind } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Clock } from '../lib/clock.ts';
import type { GraphqlContext, RequestInfo } from './context.ts';
import type { TransportContext } from './engine.ts';

export interface OperationReport {
  readonly requestId: string;
  /** What it came with: the same object that its transport made. */
  readonly request: RequestInfo;
  /** Null when it could not be read. */
  readonly type: 'query' | 'mutation' | 'subscription' | null;
  /** As the client named it, cut to 100 characters: letters, digits and underscores. */
  readonly name: string | null;
  readonly transport: 'http' | 'sse' | 'websocket';
  /** From the moment its text was here to its answer; of a subscription, how long it lasted. */
  readonly ms: number;
  /** `error`: at least one top-level error was sent. Errors that are part of the schema (`... on Error`) are `ok`. */
  readonly outcome: 'ok' | 'error';
  /** `extensions.code` of the errors sent, each once. */
  readonly codes: readonly string[];
}

export interface OperationObserver {
  onOperation(report: OperationReport): void;
  /** A subscription of this field of the schema began (1) or ended (-1). */
  onStream?(field: string, by: 1 | -1): void;
}

type Results = ExecutionResult | AsyncIterable<ExecutionResult>;

const NAME_LENGTH = 100;

export class OperationReports {
  readonly #clock: Clock;
  readonly #observers: readonly OperationObserver[];

  constructor(clock: Clock, observers: readonly OperationObserver[]) {
    this.#clock = clock;
    this.#observers = observers;
  }

  begin(request: RequestInfo, over: 'http' | 'websocket'): OperationWatch {
    return new OperationWatch(request, over, this.#clock, this.#observers);
  }
}

/** One operation, from its beginning to its report. */
export class OperationWatch {
  readonly #request: RequestInfo;
  readonly #over: 'http' | 'websocket';
  readonly #clock: Clock;
  readonly #observers: readonly OperationObserver[];
  readonly #codes = new Set<string>();
  #begun: number;
  #failed = false;
  #type: OperationReport['type'] = null;
  #name: string | null = null;
  #field = 'unknown';

  constructor(
    request: RequestInfo,
    over: 'http' | 'websocket',
    clock: Clock,
    observers: readonly OperationObserver[],
  ) {
    this.#request = request;
    this.#over = over;
    this.#clock = clock;
    this.#observers = observers;
    this.#begun = clock.monotonic();
  }

  /** Its text is here: what came before was the client's time. */
  arrived(): void {
    this.#begun = this.#clock.monotonic();
  }

  read(document: DocumentNode, operationName: string | null | undefined): void {
    const operation = getOperationAST(document, operationName);
    if (!operation) return;
    const [first] = operation.selectionSet.selections;
    this.#type = operation.operation;
    this.#name = operation.name?.value.slice(0, NAME_LENGTH) ?? null;
    if (first?.kind === Kind.FIELD) this.#field = first.name.value;
  }

  /** What it came to, as it is sent: an answer is reported now, a stream when it ends. Answers what to send. */
  came<T extends Results>(result: T): T | AsyncIterableIterator<ExecutionResult> {
    if (Symbol.asyncIterator in result) {
      for (const observer of this.#observers) observer.onStream?.(this.#field, 1);
      return this.#watched(result);
    }
    this.#note(result);
    this.#report();
    return result;
  }

  #note({ errors }: Pick<ExecutionResult, 'errors'>): void {
    for (const { extensions } of errors ?? []) {
      this.#failed = true;
      this.#codes.add(String(extensions?.code ?? 'INTERNAL_SERVER_ERROR'));
    }
  }

  #report(): void {
    const streams = this.#type === 'subscription' && this.#over === 'http';
    const report: OperationReport = {
      requestId: this.#request.requestId,
      request: this.#request,
      type: this.#type,
      name: this.#name,
      transport: streams ? 'sse' : this.#over,
      ms: this.#clock.monotonic() - this.#begun,
      outcome: this.#failed ? 'error' : 'ok',
      codes: [...this.#codes],
    };
    for (const observer of this.#observers) observer.onOperation(report);
  }

  /** Not an async generator: its `return` would wait for the value that is being waited for. */
  #watched(source: AsyncIterable<ExecutionResult>): AsyncIterableIterator<ExecutionResult> {
    const results = source[Symbol.asyncIterator]();
    let over = false;
    const end = (): void => {
      if (over) return;
      over = true;
      for (const observer of this.#observers) observer.onStream?.(this.#field, -1);
      this.#report();
    };
    return {
      next: async () => {
        try {
          const result = await results.next();
          if (result.done) end();
          else this.#note(result.value);
          return result;
        } catch (error) {
          this.#note({ errors: [error as never] });
          end();
          throw error;
        }
      },
      return: async () => {
        end();
        await results.return?.();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}

/** For operations over HTTP; those over WebSocket are watched by their transport. */
export function useOperationReports(
  reports: OperationReports,
): Plugin<object, TransportContext, GraphqlContext> {
  const watches = new WeakMap<object, OperationWatch>();
  return {
    onRequestParse({ serverContext }) {
      watches.set(serverContext, reports.begin(serverContext.info, 'http'));
    },
    onParams({ context }) {
      watches.get(context)?.arrived();
    },
    onParse({ context }) {
      return ({ result }) => {
        const { params } = context as { readonly params?: { readonly operationName?: string | null } };
        if (isDocument(result)) watches.get(context)?.read(result, params?.operationName);
      };
    },
    // The last hook there is for a result: it holds also what was refused before there was an operation.
    onResultProcess({ result, setResult, serverContext }) {
      const watch = watches.get(serverContext);
      if (watch && !Array.isArray(result)) setResult(watch.came(result as Results) as never);
    },
  };
}

function isDocument(result: unknown): result is DocumentNode {
  return (result as DocumentNode | null)?.kind === Kind.DOCUMENT;
}
