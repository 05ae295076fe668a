/** What every resolver is given: who asks, the parts, and what all operations share. One per operation; a subscription keeps it. */
import type { Span } from '@opentelemetry/api';
import { defaultViewer, type Viewer } from '../domain/viewer.ts';
import { Gate } from '../lib/gate.ts';
import type { Logger } from '../lib/logger.ts';
import { Turns } from '../lib/turns.ts';
import { FiguresBoard } from './figures-board.ts';
import { FileUrls } from './file-urls.ts';
import { createLoaders, type Loaders } from './loaders.ts';
import { PlaceBoard } from './place-board.ts';
import type { Services } from './services.ts';

export interface GraphqlContext {
  readonly viewer: Viewer;
  readonly services: Services;
  /** Shared by all operations of the viewer: what many ask for at the same moment is read once. */
  readonly loaders: Loaders;
  /** The same for subscriptions, who are many: they read a few at a time. */
  readonly crowdLoaders: Loaders;
  readonly urls: FileUrls;
  readonly requestId: string;
  readonly log: Logger;
  /** Of the operation; absent when it is not traced. */
  readonly span?: Span;
  /** Shared by all operations. */
  readonly places: PlaceBoard;
  /** Shared by all who ask for figures, or watch them. */
  readonly figures: FiguresBoard;
  /** Shared by all subscriptions: so many send a value in one turn of the event loop. */
  readonly turns: Turns;
  /** Aborts when the gateway shuts down: ends waiting. Subscriptions end with the connection they go over. */
  readonly shutdown: AbortSignal;
}

/** Making and sending one value takes a fifth of a millisecond or so. */
const VALUES_PER_TURN = 20;

/**
 * Of so many connections to the store this many read for subscriptions, at most: queries and mutations find the others
 * free, however many subscribers come back at once.
 */
function crowdReads(connections: number): number {
  return Math.max(1, Math.floor(connections / 3));
}

/** What the transport knows of the one who asks. */
export interface RequestInfo {
  readonly requestId: string;
  /** Scheme and host the client used, without a trailing slash; overruled by PUBLIC_URL. */
  readonly origin: string;
  /** Of the client's own trace, as it was sent. */
  readonly traceparent?: string | undefined;
  /** Set when its operation begins, where that is traced: for its line in the log. */
  traceId?: string;
}

/** Makes the context of each operation; what all of them share is made once. */
export function createContextFactory(
  services: Services,
  shutdown: AbortSignal,
): (info: RequestInfo) => GraphqlContext {
  const { config, signer, clock, logger } = services;
  const gate = new Gate(crowdReads(config.databasePoolMax));
  const places = new PlaceBoard(services, gate, shutdown);
  const { metricsRetentionMs: retentionMs } = config;
  const askedGate = new Gate(crowdReads(config.databasePoolMax));
  const figures = new FiguresBoard({ db: services.store.db, clock, retentionMs, gate, askedGate });
  const viewer = defaultViewer;
  const turns = new Turns(VALUES_PER_TURN);
  const loaders = createLoaders(services, places, viewer);
  const crowdLoaders = createLoaders(services, places, viewer, gate);
  return ({ requestId, origin }) => ({
    viewer,
    services,
    loaders,
    crowdLoaders,
    urls: new FileUrls(signer, config.publicFilesUrl ?? config.publicUrl ?? origin, () => clock.now()),
    requestId,
    log: logger.child({ requestId }),
    places,
    figures,
    turns,
    shutdown,
  });
}
