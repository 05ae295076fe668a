/** A recorded request as it is made again: same bytes, but with the names that this replay has for things. */
import type { Call } from './http-call.ts';
import type { Names } from './names.ts';
import { isRecord, type RecordedRequest, stringifyLoose } from './recording.ts';

/** `body` replaces a body that the recording cut short. */
export function repeated(
  request: RecordedRequest,
  base: string,
  names: Names,
  body: Buffer | string | undefined,
): Call {
  const query = request.query === null ? '' : `?${request.query}`;
  return {
    method: request.method,
    path: names.translate(request.path + query),
    headers: headersOf(request, base, names),
    body: body ?? bodyOf(request, names),
  };
}

/** The rig's own addresses become those of the server of this replay; foreign ones stay. */
function headersOf(request: RecordedRequest, base: string, names: Names): Record<string, string> {
  const { host, port } = new URL(base);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.request_headers)) {
    headers[name] = names
      .translate(value)
      .replace(/127\.0\.0\.1:82\d\d/, host)
      .replace(/localhost:82\d\d/, `localhost:${port}`);
  }
  return headers;
}

function bodyOf(request: RecordedRequest, names: Names): Buffer | string | undefined {
  const body = request.request_body;
  if (body === null) return undefined;
  if (typeof body === 'string') return body;
  if (isRecord(body) && typeof body.base64 === 'string') return Buffer.from(body.base64, 'base64');
  return names.translate(stringifyLoose(body));
}
