/**
 * Puts graphql-ws on a WebSocket. Its own adapter writes to the console, and takes a client that went away in the middle
 * of an answer for an error of ours.
 */
import type { IncomingMessage } from 'node:http';
import { CloseCode, type Server } from 'graphql-ws';
import type { WebSocket } from 'ws';
import type { Logger } from '../lib/logger.ts';
import type { SocketGuard } from './socket-guard.ts';

/** One client, as the hooks of graphql-ws see it. */
export interface Connection {
  readonly socket: WebSocket;
  readonly guard: SocketGuard;
  /** With which it was opened. */
  readonly request: IncomingMessage;
}

export type GraphqlProtocol = Server<Connection>;

export function speak(protocol: GraphqlProtocol, connection: Connection, logger: Logger): void {
  const { socket, guard } = connection;
  const broken = (error: unknown): void => {
    // a message that is none, or a bug: either way this client gets no further
    logger.warn({ err: error }, 'a socket is closed after an error');
    socket.close(CloseCode.BadRequest, 'Invalid message received');
  };
  const closed = protocol.opened(
    {
      protocol: socket.protocol,
      send: (text) => send(socket, guard, text),
      close: (code, reason) => socket.close(code, reason),
      onMessage: (hear) => {
        socket.on('message', (data) => {
          hear(String(data)).catch(broken);
        });
      },
    },
    connection,
  );
  socket.once('close', (code, reason) => {
    closed(code, String(reason)).catch((error: unknown) => logger.error({ err: error }, 'socket end failed'));
  });
}

/** Resolves when the system has taken it, or nobody is there to take it any more. */
function send(socket: WebSocket, guard: SocketGuard, text: string): Promise<void> {
  return new Promise((resolve) => {
    if (!guard.mayGrow()) return resolve();
    socket.send(text, () => resolve());
    guard.grown();
  });
}
