/**
 * The simulator's own routes, under /simulator. All bodies and answers are JSON.
 *
 *   GET    /simulator/faults       what is switched on
 *   POST   /simulator/faults       switches the named faults: see Faults in faults.ts
 *   DELETE /simulator/faults       everything healthy again (a dead worker needs a restart)
 *   POST   /simulator/options      {modelLoadMs, stepMs, nodeMs, bootMs, residentModels, previewMethod, models, removeNodeClasses}
 *   GET    /simulator/executions   every run so far, over restarts: [{promptId, number, clientId, startedAt, endedAt, outcome}]
 *   GET    /simulator/prompts      every prompt that reached the queue, over restarts: [{promptId, at, number, tag, answered}]
 *   POST   /simulator/hang-up      cuts all WebSocket connections
 *   POST   /simulator/crash        dies now; {restartAfterMs} brings it back
 *   POST   /simulator/restart      dies and starts again at once: memory gone, files and port kept
 */
import { type Faults, parseFaults } from './faults.ts';
import { isObject, type Json, parseJson } from './python-json.ts';
import { type Exchange, sendEmpty, sendJson } from './reply.ts';
import type { ExecutionRecord, PromptRecord } from './run-log.ts';

/** What may change while it runs. */
export interface AdjustableOptions {
  readonly modelLoadMs?: number;
  readonly stepMs?: number;
  readonly nodeMs?: number;
  readonly bootMs?: number;
  readonly residentModels?: number;
  readonly previewMethod?: 'none' | 'latent';
  readonly models?: Readonly<Record<string, readonly string[]>>;
  readonly removeNodeClasses?: readonly string[];
}

/** The same in process. */
export interface SimulatorControl {
  readonly faults: Readonly<Faults>;
  setFaults(change: Partial<Faults>): void;
  clearFaults(): void;
  adjust(options: AdjustableOptions): void;
  executions(): readonly ExecutionRecord[];
  /** Every prompt that reached the queue, in order. */
  prompts(): readonly PromptRecord[];
  /** Open WebSocket connections. */
  socketCount(): number;
  hangUp(): void;
  /** False between a crash and the restart. */
  alive(): boolean;
  /** As SIGSTOP and SIGCONT; short for the fault `frozen`. */
  freeze(): void;
  thaw(): void;
  /** Dies as if killed; `restart` brings it back. Resolves when the port is closed. */
  crash(reason?: string): Promise<void>;
  /** Forgets memory, keeps files and port. Resolves when it listens again. */
  restart(): Promise<void>;
}

export async function controlRoute(
  exchange: Exchange,
  bytes: Buffer,
  control: SimulatorControl,
): Promise<void> {
  const body = bytes.length === 0 ? {} : parseJson(bytes.toString('utf8'));
  const route = `${exchange.request.method} ${exchange.path.slice('/simulator'.length)}`;
  if (route === 'GET /faults') sendJson(exchange, control.faults);
  else if (route === 'POST /faults') changeFaults(exchange, body, control);
  else if (route === 'DELETE /faults') {
    control.clearFaults();
    sendJson(exchange, control.faults);
  } else if (route === 'GET /executions') sendJson(exchange, control.executions());
  else if (route === 'GET /prompts') sendJson(exchange, control.prompts());
  else if (route === 'POST /options') changeOptions(exchange, body, control);
  else if (route === 'POST /hang-up') {
    control.hangUp();
    sendEmpty(exchange);
  } else if (route === 'POST /crash' || route === 'POST /restart') afterReply(exchange, body, control, route);
  else sendEmpty(exchange, 404);
}

function changeFaults(exchange: Exchange, body: Json | undefined, control: SimulatorControl): void {
  const change = parseFaults(body);
  if (typeof change === 'string') {
    sendJson(exchange, { error: change }, 400);
    return;
  }
  control.setFaults(change);
  sendJson(exchange, control.faults);
}

const NUMBERS = ['modelLoadMs', 'stepMs', 'nodeMs', 'bootMs', 'residentModels'];

function changeOptions(exchange: Exchange, body: Json | undefined, control: SimulatorControl): void {
  const known = [...NUMBERS, 'previewMethod', 'models', 'removeNodeClasses'];
  const wrong = isObject(body)
    ? Object.entries(body).find(
        ([key, value]) => !known.includes(key) || (NUMBERS.includes(key) && typeof value !== 'number'),
      )?.[0]
    : 'body';
  if (wrong !== undefined) {
    sendJson(exchange, { error: `bad option ${wrong}` }, 400);
    return;
  }
  control.adjust(body as AdjustableOptions);
  sendEmpty(exchange);
}

/** The reply goes out first, then the process dies. */
function afterReply(
  exchange: Exchange,
  body: Json | undefined,
  control: SimulatorControl,
  route: string,
): void {
  if (isObject(body) && typeof body.restartAfterMs === 'number')
    control.setFaults({ restartAfterMs: body.restartAfterMs });
  exchange.response.on('finish', () => {
    setImmediate(() => {
      void (route === 'POST /crash' ? control.crash('asked for') : control.restart());
    });
  });
  sendEmpty(exchange);
}
