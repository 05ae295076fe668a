/** The recordings of a real ComfyUI 0.3.64 under test/fixtures/recordings, as what went over the wire. */
import { readdirSync, readFileSync } from 'node:fs';
import { isObject } from '../../src/lib/json.ts';

export interface RecordedHttp {
  readonly label?: string;
  readonly method: string;
  readonly path: string;
  readonly status: number | null;
  readonly request_body: unknown;
  readonly response_body: unknown;
}

export interface RecordedFrame {
  readonly client: string;
  readonly type: string;
  readonly data?: unknown;
  /** The text of a frame that is not valid JSON. */
  readonly raw?: string;
  /** The first bytes of a binary frame. */
  readonly head_hex?: string;
  readonly length?: number;
  readonly event?: number;
  readonly format?: number;
  readonly metadata?: Record<string, unknown>;
  readonly payload_magic?: string;
}

export interface Recording {
  readonly name: string;
  readonly http: readonly RecordedHttp[];
  readonly ws: readonly RecordedFrame[];
}

const FOLDER = new URL('../fixtures/recordings/', import.meta.url);

export function recording(name: string): Recording {
  const text = readFileSync(new URL(`${name}.json`, FOLDER), 'utf8');
  // one recording holds answers whose `number` is a bare NaN, as the server wrote it
  const json = text.replaceAll(/^(\s*"\w+": )-?(?:NaN|Infinity)(,?)$/gm, '$1null$2');
  const { http, ws } = JSON.parse(json) as Recording;
  return { name, http, ws };
}

export function allRecordings(): Recording[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .map((file) => recording(file.slice(0, -'.json'.length)));
}

/** The text of a recorded text frame; null where only its head was kept. */
export function frameText(frame: RecordedFrame): string | null {
  if (frame.raw !== undefined) return frame.raw;
  return frame.data === undefined ? null : JSON.stringify(frame.data);
}

/** A recorded binary frame in full length: its head where recorded, its metadata and magic number, zeros behind. */
export function frameBytes(frame: RecordedFrame): Buffer {
  const bytes = Buffer.alloc(frame.length ?? 0);
  if (frame.metadata) {
    const head = Buffer.from(frame.head_hex ?? '', 'hex');
    const metadataLength = head.readUInt32BE(4);
    // Python writes ", " and ": " between items
    const json = JSON.stringify(frame.metadata).replaceAll('":', '": ').replaceAll(',"', ', "');
    if (Buffer.byteLength(json) !== metadataLength)
      throw new Error(`metadata of ${metadataLength} bytes: ${json}`);
    head.copy(bytes, 0, 0, 8);
    bytes.write(json, 8);
    bytes.write(frame.payload_magic ?? '', 8 + metadataLength, 'hex');
  } else {
    bytes.write(frame.head_hex ?? '', 0, 'hex');
  }
  return bytes;
}

/** Every recorded body of GET /history/{id} that holds an entry, whole, with the id asked for. */
export function recordedHistories(): { name: string; promptId: string; body: string }[] {
  return allRecordings().flatMap(({ name, http }) =>
    http
      .filter((call) => call.method === 'GET' && call.path.startsWith('/history/'))
      .flatMap((call) => {
        const promptId = decodeURIComponent(call.path.slice('/history/'.length));
        const { response_body: answer } = call;
        if (typeof answer === 'string') return [{ name, promptId, body: answer }];
        if (!isObject(answer) || !Object.hasOwn(answer, promptId)) return [];
        return [{ name, promptId, body: JSON.stringify(answer) }];
      }),
  );
}
