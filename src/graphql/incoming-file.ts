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
  /** Settles once the first reader is through, with what it failed of, or null. */
  #through: Promise<unknown> | undefined;

  /** `arrival` rejects with a coded error when the request ends without the file. */
  constructor(arrival: () => Promise<ArrivedFile>) {
    this.#arrival = arrival;
  }

  /** Says before anything is read that the file is used in several places: its bytes are then held for the others. */
  share(): void {
    this.#kept ??= [];
  }

  /**
   * The file as the upload service reads it. `filename` is null until the first byte is asked for, unless `arrived` was
   * awaited before.
   */
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

  /** Several may ask at once; the first reads, the others wait for it and get what it read. */
  async *#read(): AsyncGenerator<Uint8Array> {
    if (this.#through) {
      if (!this.#kept) throw badInput('this file was read already');
      const failure = await this.#through;
      if (failure !== null) throw failure;
      yield* this.#kept;
      return;
    }
    let settle: (failure: unknown) => void = () => undefined;
    this.#through = new Promise((resolve) => {
      settle = resolve;
    });
    let failure: unknown = null;
    try {
      yield* this.#receive();
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      settle(failure);
    }
  }

  async *#receive(): AsyncGenerator<Uint8Array> {
    await this.arrived();
    for await (const chunk of this.#arrived?.stream ?? []) {
      this.#kept?.push(chunk);
      yield chunk;
    }
  }
}
