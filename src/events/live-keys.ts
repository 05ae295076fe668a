/**
 * The newest progress and preview of each running job in Redis, for subscribers of any replica that come late: one hash
 * a job, which dies by itself when nobody writes it any more. Pictures are bytes in a field of it.
 */
import type { Preview, Progress } from '../domain/job.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Latest, PreviewImage } from './bus.ts';
import { inTime } from './in-time.ts';
import { readPreview, readProgress } from './live-values.ts';
import type { Wire } from './wire.ts';

export interface LiveKeysOptions {
  readonly wire: Wire;
  readonly clock: Clock;
  readonly prefix: string;
}

const TTL_MS = 600_000;
/** Progress of a job is written at most so often; messages tell of every step meanwhile. */
const GATHER_MS = 100;
const ANSWER_WITHIN_MS = 1000;
/** Jobs of which something is still to be written: more than any fleet runs. */
const MAX_PENDING = 10_000;
/** A larger picture is not kept; ComfyUI's own previews are a few hundred KiB at most. */
const MAX_IMAGE_BYTES = 2 * 1024 * 1024;

/** A leader that was paused must not overwrite what its successor wrote: the number of the job's newest event tells. */
const KEEP = `
local seen = tonumber(redis.call('HGET', KEYS[1], 'seq') or '')
if seen and seen > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'seq', ARGV[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`;

/** Still to be written; `forgotten`: what Redis holds must go first. */
interface Pending {
  readonly forgotten: boolean;
  readonly news: { readonly seq: number; readonly progress: Progress } | null;
}

export class LiveKeys {
  readonly #wire: Wire;
  readonly #clock: Clock;
  readonly #prefix: string;
  readonly #pending = new Map<string, Pending>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor({ wire, clock, prefix }: LiveKeysOptions) {
    this.#wire = wire;
    this.#clock = clock;
    this.#prefix = prefix;
  }

  keepProgress(jobId: string, seq: number, progress: Progress): void {
    const forgotten = this.#pending.get(jobId)?.forgotten ?? false;
    this.#await(jobId, { forgotten, news: { seq, progress } });
  }

  /** Sent before it returns, so that it precedes what is published afterwards. */
  keepPreview(jobId: string, seq: number, preview: Preview, image: Uint8Array): void {
    if (image.byteLength > MAX_IMAGE_BYTES) return;
    if (this.#pending.get(jobId)?.forgotten) this.#write(jobId);
    void this.#keep(jobId, seq, ['preview', JSON.stringify(preview), 'image', Buffer.from(image)]);
  }

  forget(jobId: string): void {
    this.#pending.delete(jobId);
    this.#erase(jobId);
  }

  async latest(jobIds: readonly string[]): Promise<ReadonlyMap<string, Latest>> {
    const found = new Map<string, Latest>();
    const kept = await this.#read(jobIds);
    jobIds.forEach((jobId, index) => {
      const pending = this.#pending.get(jobId);
      const [progress, preview, seq] = pending?.forgotten ? [] : (kept[index] ?? []);
      const latest = {
        preview: readPreview(preview),
        ...(pending?.news ?? { progress: readProgress(progress), seq: Number(seq) || 0 }),
      };
      if (latest.progress || latest.preview) found.set(jobId, latest);
    });
    return found;
  }

  async previewImage(jobId: string): Promise<PreviewImage | null> {
    if (this.#pending.get(jobId)?.forgotten) return null;
    // both fields by one command: never the bytes of one picture with the name of another
    const read = this.#wire.command(0, (redis) => redis.hmgetBuffer(this.#key(jobId), 'preview', 'image'));
    const [text, image] = (await inTime(this.#clock, ANSWER_WITHIN_MS, read)) ?? [];
    const preview = readPreview(text?.toString());
    return preview && image ? { preview, image } : null;
  }

  /** Writes what waits; called also while all is well, for what could not be written before. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (!this.#wire.isOpen()) return;
    for (const jobId of [...this.#pending.keys()]) this.#write(jobId);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#pending.clear();
  }

  #key(jobId: string): string {
    return `${this.#prefix}:live:${jobId}`;
  }

  #await(jobId: string, pending: Pending): void {
    if (this.#stopped) return;
    this.#pending.delete(jobId);
    this.#pending.set(jobId, pending);
    const [oldest] = this.#pending.keys();
    if (this.#pending.size > MAX_PENDING && oldest !== undefined) this.#pending.delete(oldest);
    this.#timer ??= this.#clock.after(GATHER_MS, () => this.flush());
  }

  #write(jobId: string): void {
    const pending = this.#pending.get(jobId);
    this.#pending.delete(jobId);
    if (pending?.forgotten) this.#erase(jobId);
    if (pending?.news) {
      void this.#keep(jobId, pending.news.seq, ['progress', JSON.stringify(pending.news.progress)]);
    }
  }

  /** A value that could not be written is soon followed by a newer one. */
  async #keep(jobId: string, seq: number, fields: readonly (string | Buffer)[]): Promise<void> {
    const bytes = fields.reduce((sum, field) => sum + field.length, 0);
    const key = this.#key(jobId);
    await this.#wire
      .command(bytes, (redis) => redis.eval(KEEP, 1, key, seq, TTL_MS, ...fields))
      ?.catch(() => undefined);
  }

  /** Remembered when it fails: news of a run that is over would stand there until it expires. */
  #erase(jobId: string): void {
    const again = (): void => {
      const news = this.#pending.get(jobId)?.news ?? null;
      this.#await(jobId, { forgotten: true, news });
    };
    const erased = this.#wire.command(0, (redis) => redis.del(this.#key(jobId)));
    if (erased) void erased.catch(again);
    else again();
  }

  async #read(jobIds: readonly string[]): Promise<readonly (readonly (string | null)[])[]> {
    if (jobIds.length === 0) return [];
    const read = this.#wire.command(0, (redis) => {
      const pipeline = redis.pipeline();
      for (const jobId of jobIds) pipeline.hmget(this.#key(jobId), 'progress', 'preview', 'seq');
      return pipeline.exec();
    });
    const replies = (await inTime(this.#clock, ANSWER_WITHIN_MS, read)) ?? [];
    return replies.map(([error, fields]) => (error ? [] : (fields as (string | null)[])));
  }
}
