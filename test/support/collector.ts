/** An OpenTelemetry collector's HTTP door, as far as spans go: keeps what it was sent, answers as told. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';

type Attribute = { readonly key: string; readonly value: Record<string, unknown> };

export interface Export {
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly resource: Record<string, unknown>;
  readonly spans: readonly {
    readonly name: string;
    readonly traceId: string;
    readonly spanId: string;
    readonly parentSpanId?: string;
    readonly attributes: Attribute[];
  }[];
}

interface Body {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: Attribute[] };
    readonly scopeSpans: readonly { readonly spans: Export['spans'] }[];
  }[];
}

export interface Collector {
  readonly url: string;
  readonly exports: readonly Export[];
}

/** Of a test. `status` null: it takes what it is sent and never answers. */
export async function startCollector(status: number | null = 200): Promise<Collector> {
  const exports: Export[] = [];
  const server = createServer(async (request, response) => {
    const { resourceSpans } = JSON.parse(await text(request)) as Body;
    for (const { resource, scopeSpans } of resourceSpans) {
      exports.push({
        path: request.url,
        headers: request.headers,
        resource: Object.fromEntries(
          resource.attributes.map(({ key, value }) => [key, Object.values(value)[0]]),
        ),
        spans: scopeSpans.flatMap(({ spans }) => spans),
      });
    }
    if (status !== null) response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, exports };
}
