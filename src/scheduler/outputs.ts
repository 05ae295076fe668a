/**
 * Fetches what one run produces and records it, piece by piece: as nodes finish, and at the end whatever history names
 * besides. The same piece comes by both ways, so each has a place of its own (node, ordinal) and is taken once.
 */
import type { ComfyHttp } from '../comfyui/http.ts';
import { nodeOutputItems, type OutputItem } from '../comfyui/output-items.ts';
import { type CrashHook, neverCrash } from '../domain/crash-points.ts';
import { type Fault, fault } from '../domain/fault.ts';
import type { Output } from '../domain/output.ts';
import type { Recorder } from '../jobs/recorder.ts';
import { type Clock, pause } from '../lib/clock.ts';
import type { JsonObject } from '../lib/json.ts';
import type { Logger } from '../lib/logger.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import { type Fetched, fetchFile, storePicture } from './fetch-output.ts';

export interface OutputParts {
  readonly http: Pick<ComfyHttp, 'view'>;
  readonly storage: BlobStore;
  readonly recorder: Pick<Recorder, 'output'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxOutputBytes: number;
  readonly crashAt?: CrashHook | undefined;
}

export interface OutputSubject {
  readonly attemptId: string;
  readonly tenant: string;
  readonly term: number;
  /** What an earlier process recorded of this attempt. */
  readonly known: readonly Pick<Output, 'node' | 'ordinal'>[];
  /** A new output was recorded. */
  readonly onOutput: () => void;
}

/** Bytes on their way at once for one run. */
const LANES = 4;
const TRIES = 3;
const RETRY_MS = 250;
const LONGEST_TEXT = 256 * 1024;
/** Outputs of nodes made at run time follow those of the node they are shown under. */
const RUN_TIME_NODES_FROM = 100_000;

export class OutputCollector {
  readonly #parts: OutputParts;
  readonly #subject: OutputSubject;
  readonly #taken: Set<string>;
  readonly #waiting: (() => Promise<void>)[] = [];
  readonly #signal: AbortSignal;
  readonly #pictures = new Map<string, number>();
  #lanes = 0;
  #count: number;
  #fault: Fault | null = null;
  #idle: (() => void)[] = [];

  /** Fetching ends when the signal aborts; what is recorded stays. */
  constructor(parts: OutputParts, subject: OutputSubject, signal: AbortSignal) {
    this.#parts = parts;
    this.#subject = subject;
    this.#signal = signal;
    this.#taken = new Set(subject.known.map(({ node, ordinal }) => place(node, ordinal)));
    this.#count = subject.known.length;
    for (const { node } of subject.known) this.#pictures.set(node, (this.#pictures.get(node) ?? 0) + 1);
  }

  /** Outputs recorded so far, those of an earlier process included. */
  get count(): number {
    return this.#count;
  }

  /** Takes one node's ui output; `shown` is the node of the submitted graph it belongs to. */
  take(node: string, shown: string, output: JsonObject): void {
    const from = node === shown ? 0 : RUN_TIME_NODES_FROM + (hash(node) % 10_000) * 1000;
    const { items, ignored } = nodeOutputItems(node, output);
    if (ignored > 0)
      this.#parts.logger.debug({ node, ignored }, 'values of an output are neither file nor text');
    items.forEach((item, index) => {
      this.#once(shown, from + index, () => this.#takeItem(shown, from + index, item));
    });
  }

  /** Takes a result that came over the socket; there is no other way to it. */
  takePicture(node: string, mimeType: string, image: Uint8Array): void {
    const ordinal = this.#pictures.get(node) ?? 0;
    this.#pictures.set(node, ordinal + 1);
    const filename = `${node.replace(/[^\w-]+/g, '_')}_${ordinal}.${mimeType === 'image/jpeg' ? 'jpg' : 'png'}`;
    this.#once(node, ordinal, async () => {
      const { storage, maxOutputBytes } = this.#parts;
      const stored = await storePicture(storage, this.#subject.tenant, image, filename, maxOutputBytes);
      await this.#record(shownFile(node, ordinal, filename, false), stored);
    });
  }

  /** Resolves when all that was taken is recorded; the first fault, or null. */
  async settled(): Promise<Fault | null> {
    while (this.#lanes > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    return this.#fault;
  }

  #once(node: string, ordinal: number, work: () => Promise<void>): void {
    const key = place(node, ordinal);
    if (this.#taken.has(key)) return;
    this.#taken.add(key);
    this.#waiting.push(work);
    if (this.#lanes < LANES) void this.#lane();
  }

  /** Works off what waits. Owned by settled(); never rejects. */
  async #lane(): Promise<void> {
    this.#lanes++;
    for (let work = this.#waiting.shift(); work; work = this.#waiting.shift()) {
      if (this.#signal.aborted) continue;
      try {
        await work();
      } catch (error) {
        this.#parts.logger.error({ err: error }, 'an output could not be recorded');
        this.#fault ??= fault('INTERNAL');
      }
    }
    this.#lanes--;
    if (this.#lanes === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #takeItem(node: string, ordinal: number, item: OutputItem): Promise<void> {
    if (item.kind === 'text') {
      await this.#save({ ...NO_FILE, node, ordinal, text: item.text.slice(0, LONGEST_TEXT) });
      return;
    }
    const { http, storage, clock, maxOutputBytes, crashAt = neverCrash } = this.#parts;
    const { tenant } = this.#subject;
    const onPiece = (): void => crashAt('output:receiving');
    const where = { storage, tenant, maxBytes: maxOutputBytes, onPiece };
    for (let tries = 1; !this.#signal.aborted; tries++) {
      const fetched = await fetchFile(http, item.file, where, this.#signal);
      if (fetched.kind === 'failed' && tries < TRIES) {
        await pause(clock, RETRY_MS * 2 ** (tries - 1), this.#signal);
        continue;
      }
      await this.#record(shownFile(node, ordinal, item.file.filename, item.file.type === 'temp'), fetched);
      return;
    }
  }

  async #record(file: FilePlace, fetched: Fetched): Promise<void> {
    if (fetched.kind === 'failed') {
      if (!this.#signal.aborted) {
        this.#parts.logger.warn(
          { node: file.node, reason: fetched.reason },
          'an output could not be fetched',
        );
        this.#fault ??= fault('OUTPUT_UNAVAILABLE', fetched.detail, { nodeId: file.node, nodeType: null });
      }
      return;
    }
    const { sha256, bytes, mimeType, width, height, pin } = fetched;
    this.#parts.crashAt?.('output:stored');
    try {
      const kind = width === null ? 'file' : 'image';
      await this.#save({ ...file, kind, mimeType, sha256, bytes, width, height, text: null });
    } finally {
      pin.release();
    }
  }

  /** A refusal means that the attempt is not ours any more: whoever follows it finds out by itself. */
  async #save(output: Parameters<Recorder['output']>[2]): Promise<void> {
    const { attemptId, term, onOutput } = this.#subject;
    const saved = await this.#parts.recorder.output(attemptId, term, output);
    if (!saved) return;
    this.#count++;
    onOutput();
  }
}

interface FilePlace {
  readonly node: string;
  readonly ordinal: number;
  readonly filename: string;
  readonly temporary: boolean;
}

const NO_FILE = {
  kind: 'text',
  mimeType: 'text/plain',
  filename: null,
  sha256: null,
  bytes: null,
  width: null,
  height: null,
  temporary: false,
} as const;

function shownFile(node: string, ordinal: number, filename: string, temporary: boolean): FilePlace {
  return { node, ordinal, filename, temporary };
}

function place(node: string, ordinal: number): string {
  return `${ordinal}/${node}`;
}

/** A small stable number for a node's id. */
function hash(text: string): number {
  let value = 0;
  for (const char of text) value = (value * 31 + (char.codePointAt(0) ?? 0)) % 1_000_003;
  return value;
}
