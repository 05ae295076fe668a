/** A small real WebSocket server for the socket's tests: keeps what each connection said, ended by `stop`. */
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

export interface ServedConnection {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
  readonly clientId: string | null;
  /** Text messages and pings in the order they came. */
  readonly heard: string[];
  closed: boolean;
}

export interface SocketServer {
  readonly url: string;
  /** In the order they were opened. */
  readonly connections: readonly ServedConnection[];
  stop(): Promise<void>;
}

/** Starts on a free port; `greet` is called for each new connection. `answerPings: false` makes it look dead. */
export async function startSocketServer(
  greet: (connection: ServedConnection) => void = () => undefined,
  options: { readonly answerPings?: boolean } = {},
): Promise<SocketServer> {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    autoPong: options.answerPings ?? true,
    perMessageDeflate: true,
  });
  await new Promise((resolve) => server.once('listening', resolve));
  const connections: ServedConnection[] = [];
  server.on('connection', (socket, request) => {
    const clientId = new URL(request.url ?? '', 'http://host').searchParams.get('clientId');
    const connection: ServedConnection = { socket, request, clientId, heard: [], closed: false };
    connections.push(connection);
    socket.on('message', (data) => connection.heard.push(String(data)));
    socket.on('ping', () => connection.heard.push('ping'));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      connection.closed = true;
    });
    greet(connection);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    connections,
    async stop() {
      for (const client of server.clients) {
        // a test may have paused it, and a paused one never notices its end
        client.resume();
        client.terminate();
      }
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
