/**
 * Fetches what one run produces and records it, piece by piece: as nodes finish, and at the end whatever history names
 * besides. The same piece comes by both ways, so each has a place of its own (node, ordinal) and is taken once.
 */
import type { ComfyHttp } from '../../comfyui/http.ts';
import { nodeOutputItems, type OutputItem } from '../../comfyui/output-items.ts';
import type { Config } from '../../config.ts';
import type { CrashHook } from '../../domain/crash-points.ts';
import { type Fault, fault } from '../../domain/fault.ts';
import type { Output } from '../../domain/output.ts';
import type { Recorder } from '../../jobs/recorder.ts';
import type { Clock } from '../../lib/clock.ts';
import type { JsonObject } from '../../lib/json.ts';
import type { Logger } from '../../lib/logger.ts';
import type { BlobStore } from '../../storage/blob-store.ts';
import { insistOn } from '../runs/insist.ts';
import { Presence } from '../runs/presence.ts';
import { type Destination, storePicture } from './fetch-output.ts';
import { type FetchEnd, fetchPatiently, NO_ROOM_DETAIL, type Patience } from './fetch-patiently.ts';
import { type BudgetKind, OutputBudget, RUN_LIMITS } from './output-budget.ts';
import { type FilePlace, firstOrdinal, NO_FILE, placeOf, shownFile } from './output-place.ts';
import { RoomWait } from './room-wait.ts';
import type { TransferGate } from './transfer-gate.ts';

export interface OutputParts {
  readonly http: Pick<ComfyHttp, 'view' | 'getPromptCount'>;
  readonly storage: BlobStore;
  readonly recorder: Pick<Recorder, 'output'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly transfers: TransferGate;
  readonly config: OutputConfig;
  readonly crashAt?: CrashHook | undefined;
}

export type OutputConfig = Pick<
  Config,
  | 'maxOutputBytes'
  | 'maxJobOutputBytes'
  | 'minTransferRate'
  | 'storageFullPatienceMs'
  | 'probeTimeoutMs'
  | 'refusedLostMs'
  | 'unreachableLostMs'
>;

export type KnownOutput = Pick<Output, 'node' | 'ordinal' | 'bytes'>;

export interface OutputSubject {
  readonly attemptId: string;
  readonly instanceId: string;
  readonly tenant: string;
  readonly term: number;
  /** What an earlier process recorded of this attempt. */
  readonly known: readonly KnownOutput[];
  /** A new output was recorded. */
  readonly onOutput: () => void;
}

/** One output on its way; `work` answers why it cannot be had. */
interface Piece {
  readonly key: string;
  readonly node: string;
  readonly work: () => Promise<Fault | null>;
}

/** Bytes on their way at once for one run. */
const LANES = 4;
const LONGEST_TEXT = 256 * 1024;

export class OutputCollector {
  readonly #parts: OutputParts;
  readonly #subject: OutputSubject;
  readonly #budget: OutputBudget;
  readonly #presence: Presence;
  readonly #room: RoomWait;
  readonly #taken: Set<string>;
  readonly #waiting: Piece[] = [];
  readonly #closing = new AbortController();
  readonly #signal: AbortSignal;
  readonly #pictures = new Map<string, number>();
  /** Pieces that could not be had; history names them again, and they are tried again then. */
  readonly #failed = new Map<string, Fault>();
  #lanes = 0;
  #count: number;
  /** Nothing can make up for it. */
  #fatal: Fault | null = null;
  #idle: (() => void)[] = [];

  /** Fetching ends when the signal aborts; what is recorded stays. */
  constructor(parts: OutputParts, subject: OutputSubject, signal: AbortSignal) {
    const { config, clock, logger } = parts;
    this.#parts = parts;
    this.#subject = subject;
    this.#signal = AbortSignal.any([signal, this.#closing.signal]);
    this.#budget = new OutputBudget({ ...RUN_LIMITS, fileBytes: config.maxJobOutputBytes });
    this.#presence = new Presence({ ...parts, ...config }, this.#signal);
    this.#room = new RoomWait(clock, logger, config.storageFullPatienceMs);
    this.#taken = new Set(subject.known.map(({ node, ordinal }) => placeOf(node, ordinal)));
    this.#count = subject.known.length;
    this.#budget.take('outputs', subject.known.length);
    for (const { node, bytes } of subject.known) {
      this.#pictures.set(node, (this.#pictures.get(node) ?? 0) + 1);
      this.#budget.take('fileBytes', bytes ?? 0);
    }
  }

  /** Outputs recorded so far, those of an earlier process included. */
  get count(): number {
    return this.#count;
  }

  /** A file cannot be fetched because its instance does not answer, which may pass. */
  get isWaitingForInstance(): boolean {
    return this.#presence.isWaiting;
  }

  /** Takes one node's ui output; `shown` is the node of the submitted graph it belongs to. */
  take(node: string, shown: string, output: JsonObject): void {
    const from = firstOrdinal(node, shown);
    const { items, ignored } = nodeOutputItems(node, output);
    if (ignored > 0)
      this.#parts.logger.debug({ node, ignored }, 'values of an output are neither file nor text');
    for (const [index, item] of items.entries()) {
      if (this.#fatal) return;
      this.#once(shown, from + index, () => this.#takeItem(shown, from + index, item));
    }
  }

  /** Takes a result that came over the socket; there is no other way to it. */
  takePicture(node: string, mimeType: string, image: Uint8Array): void {
    const ordinal = this.#pictures.get(node) ?? 0;
    this.#pictures.set(node, ordinal + 1);
    const filename = `${node.replace(/[^\w-]+/g, '_')}_${ordinal}.${mimeType === 'image/jpeg' ? 'jpg' : 'png'}`;
    if (this.#fatal || this.#taken.has(placeOf(node, ordinal))) return;
    if (!this.#allows('heldBytes', image.byteLength, node)) return;
    this.#once(node, ordinal, async () => {
      const stored = await this.#storePicture(image, filename);
      this.#budget.giveBack('heldBytes', image.byteLength);
      return this.#record(shownFile(node, ordinal, filename, false), stored);
    });
  }

  /**
   * Resolves when all that was taken is recorded, or cannot be; null, or why something is missing. INSTANCE_LOST when the
   * instance went away with it.
   */
  async settled(): Promise<Fault | null> {
    while (this.#lanes > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    const faults = [...this.#failed.values()];
    return this.#fatal ?? faults.find(({ code }) => code !== 'INSTANCE_LOST') ?? faults[0] ?? null;
  }

  /** Gives up what is still on its way; resolves when nothing is. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.settled();
  }

  #once(node: string, ordinal: number, work: Piece['work']): void {
    const key = placeOf(node, ordinal);
    const again = this.#failed.delete(key);
    if (!again && (this.#taken.has(key) || !this.#allows('outputs', 1, node))) return;
    this.#taken.add(key);
    this.#waiting.push({ key, node, work });
    if (this.#lanes < LANES) void this.#lane();
  }

  #allows(kind: BudgetKind, amount: number, node: string): boolean {
    if (this.#budget.take(kind, amount)) return true;
    this.#fatal ??= fault('OUTPUT_TOO_LARGE', this.#budget.problem, { nodeId: node, nodeType: null });
    return false;
  }

  /** Works off what waits. Owned by settled(); never rejects. */
  async #lane(): Promise<void> {
    this.#lanes++;
    for (let piece = this.#waiting.shift(); piece; piece = this.#waiting.shift()) {
      if (this.#signal.aborted || this.#fatal) continue;
      const problem = await this.#work(piece);
      if (!problem || this.#signal.aborted) continue;
      const { code } = problem;
      this.#parts.logger.warn({ node: piece.node, code }, 'an output could not be taken');
      if (code === 'OUTPUT_TOO_LARGE') this.#fatal ??= problem;
      else this.#failed.set(piece.key, problem);
    }
    this.#lanes--;
    if (this.#lanes === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #work({ work }: Piece): Promise<Fault | null> {
    try {
      return await work();
    } catch (error) {
      this.#parts.logger.error({ err: error }, 'an output could not be recorded');
      return fault('INTERNAL');
    }
  }

  async #takeItem(node: string, ordinal: number, item: OutputItem): Promise<Fault | null> {
    if (item.kind === 'text') {
      const text = item.text.slice(0, LONGEST_TEXT);
      if (!this.#allows('textBytes', Buffer.byteLength(text), node)) return this.#fatal;
      return this.#save({ ...NO_FILE, node, ordinal, text });
    }
    const { filename, type } = item.file;
    const fetched = await fetchPatiently(this.#patience(), item.file, this.#destination(), this.#signal);
    return this.#record(shownFile(node, ordinal, filename, type === 'temp'), fetched);
  }

  #patience(): Patience {
    const { transfers: gate } = this.#parts;
    const { attemptId: owner, instanceId } = this.#subject;
    return { ...this.#parts, gate, owner, instanceId, presence: this.#presence, room: this.#room };
  }

  #destination(): Destination {
    const { storage, clock, config, crashAt } = this.#parts;
    const { maxOutputBytes: maxBytes, minTransferRate: minRate } = config;
    const { tenant } = this.#subject;
    return { storage, clock, maxBytes, minRate, tenant, budget: this.#budget, crashAt };
  }

  /** Storage without room is waited for, as long as for a file. */
  async #storePicture(image: Uint8Array, filename: string): Promise<FetchEnd> {
    for (let tries = 1; !this.#signal.aborted; tries++) {
      const stored = await storePicture(this.#destination(), image, filename);
      if (stored.kind === 'stored') this.#room.over();
      if (stored.kind === 'stored' || stored.kind === 'too-large') return stored;
      const { kind, reason } = stored;
      if (kind !== 'no-room') return { kind: 'failed', reason, detail: null };
      if (await this.#room.wait(reason, tries, this.#signal)) continue;
      if (!this.#signal.aborted) return { kind: 'failed', reason, detail: NO_ROOM_DETAIL };
    }
    return { kind: 'aborted' };
  }

  async #record(file: FilePlace, fetched: FetchEnd): Promise<Fault | null> {
    const node = { nodeId: file.node, nodeType: null };
    switch (fetched.kind) {
      case 'stored': {
        const { sha256, bytes, mimeType, width, height, pin } = fetched;
        this.#parts.crashAt?.('output:stored');
        const kind = width === null ? 'file' : 'image';
        const output = { ...file, kind, mimeType, sha256, bytes, width, height, text: null } as const;
        return this.#save(output).finally(() => pin.release());
      }
      case 'failed':
        this.#parts.logger.warn(
          { node: file.node, reason: fetched.reason },
          'an output could not be fetched',
        );
        return fault('OUTPUT_UNAVAILABLE', fetched.detail, node);
      case 'too-large':
        return fault('OUTPUT_TOO_LARGE', fetched.detail, node);
      case 'lost':
        return fault('INSTANCE_LOST', 'the instance went away with an output file', node);
      case 'aborted':
        return null;
    }
  }

  /**
   * Insists, as a store that is full or away for a while must not cost a run; gives up with our patience. A refusal
   * means that the attempt is not ours any more: whoever follows it finds out by itself.
   */
  async #save(output: Parameters<Recorder['output']>[2]): Promise<Fault | null> {
    const { attemptId, term, onOutput } = this.#subject;
    const { recorder, config } = this.#parts;
    const withinMs = config.storageFullPatienceMs;
    const parts = { ...this.#parts, signal: this.#signal, withinMs };
    const saved = await insistOn(parts, () => recorder.output(attemptId, term, output));
    if (saved === 'given up') return this.#signal.aborted ? null : fault('INTERNAL');
    if (!saved) return null;
    this.#count++;
    onOutput();
    return null;
  }
}
