/**
 * A file of a multipart request. It arrives while the operation runs: its name and bytes are known only once the files
 * before it have been read, so both are fetched on first use and never two files at once.
 */
import type { FileStream } from '../jobs/sources.ts';
import { badInput } from './coded-error.ts';

export interface ArrivedFile {
  readonly filename: string | null;
  readonly stream: AsyncIterable<Uint8Array>;
  /** True when the transport cut the file at its own limit. */
  readonly truncated: () => boolean;
}

export class IncomingFile {
  readonly #arrival: () => Promise<ArrivedFile>;
  #arrived: ArrivedFile | undefined;
  /** What was read so far, kept only when the file is used more than once. */
  #kept: Uint8Array[] | undefined;
  #opened = false;

  /** `arrival` rejects with a coded error when the request ends without the file. */
  constructor(arrival: () => Promise<ArrivedFile>) {
    this.#arrival = arrival;
  }

  /**
   * The file as the upload service reads it. `filename` is null until the first byte is asked for, unless `arrived` was
   * awaited before.
   */
  /** Says before anything is read that the file is used in several places: its bytes are then held for the others. */
  share(): void {
    this.#kept ??= [];
  }

  open(): FileStream {
    const file = this;
    return {
      get filename() {
        return file.#arrived?.filename ?? null;
      },
      stream: { [Symbol.asyncIterator]: () => file.#read() },
      truncated: () => file.#arrived?.truncated() ?? false,
    };
  }

  /** Waits until the file's part of the request has begun. */
  async arrived(): Promise<void> {
    this.#arrived ??= await this.#arrival();
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    if (this.#opened && !this.#kept) throw badInput('this file was read already');
    if (this.#opened) {
      yield* this.#kept ?? [];
      return;
    }
    this.#opened = true;
    await this.arrived();
    for await (const chunk of this.#arrived?.stream ?? []) {
      this.#kept?.push(chunk);
      yield chunk;
    }
  }
}
