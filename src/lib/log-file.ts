/**
 * A file of log lines that is rotated by size. It never stops whoever writes: while the file cannot be written its lines are
 * dropped, which is said once, and it is opened anew now and then.
 *
 *   open ── an error ──▶ broken ── a while later, at the next line ──▶ open
 */
import { createStream, type RotatingFileStream } from 'rotating-file-stream';
import { type Clock, pause } from './clock.ts';

export interface LogFileOptions {
  readonly dir: string;
  /** Of the newest; older ones have .1 to .5 behind it. */
  readonly name: string;
  readonly clock: Clock;
  /** Lines are dropped from now on: said once until it is written again. */
  readonly onBroken: (error: Error) => void;
  readonly onRepaired: () => void;
  /** So large a file is put aside; default 5 MB. */
  readonly maxBytes?: number;
}

const MAX_BYTES = 5 * 2 ** 20;
const OLD_FILES = 5;
const REOPEN_MS = 10_000;
/** A disk this far behind is as good as none. */
const MOST_UNWRITTEN_BYTES = 8 * 2 ** 20;
/** How long a disk may take to write what is left at the end. */
const CLOSE_MS = 2000;

export class LogFile {
  readonly #options: LogFileOptions;
  #stream: RotatingFileStream | null = null;
  /** One that broke: a disk that hangs must not gather them. */
  #left: RotatingFileStream | null = null;
  #broken = false;
  #reopenAt = Number.NEGATIVE_INFINITY;

  constructor(options: LogFileOptions) {
    this.#options = options;
  }

  write(line: string): void {
    const stream = this.#stream ?? this.#open();
    if (!stream) return;
    if (stream.writableLength > MOST_UNWRITTEN_BYTES) this.#breaks(new Error('the disk is too slow'));
    else
      stream.write(line, (error) => {
        if (!error) this.#written();
      });
  }

  /** What was written is in the file, unless the disk does not take it in time. */
  async close(): Promise<void> {
    const stream = this.#stream;
    this.#stream = null;
    this.#reopenAt = Number.POSITIVE_INFINITY;
    if (!stream) return;
    const closed = new AbortController();
    stream.once('close', () => closed.abort());
    stream.end();
    await pause(this.#options.clock, CLOSE_MS, closed.signal);
  }

  #open(): RotatingFileStream | null {
    const { dir, name, clock, maxBytes = MAX_BYTES } = this.#options;
    if (clock.monotonic() < this.#reopenAt || this.#left?.closed === false) return null;
    const stream = createStream(name, {
      path: dir,
      size: `${maxBytes}B`,
      rotate: OLD_FILES,
      mode: 0o600,
    });
    stream.on('error', (error) => {
      if (stream === this.#stream) this.#breaks(error);
    });
    this.#stream = stream;
    // the last line may have been written in part
    if (this.#broken) stream.write('\n');
    return stream;
  }

  #breaks(error: Error): void {
    this.#left = this.#stream;
    this.#stream = null;
    this.#left?.destroy();
    this.#reopenAt = this.#options.clock.monotonic() + REOPEN_MS;
    if (this.#broken) return;
    this.#broken = true;
    this.#options.onBroken(error);
  }

  #written(): void {
    if (!this.#broken) return;
    this.#broken = false;
    this.#options.onRepaired();
  }
}
