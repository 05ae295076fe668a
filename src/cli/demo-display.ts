/** Shows the demo's jobs as they go: one live bar a job on a terminal, one plain line a change elsewhere. */
import { MultiBar, type SingleBar } from 'cli-progress';

export interface JobView {
  readonly title: string;
  /** 0 to 1. */
  readonly fraction: number;
  /** A few words: where it runs, what it does, how it ended. */
  readonly note: string;
}

export interface DemoDisplay {
  line(text: string): void;
  job(id: string, view: JobView): void;
  /** Ends the live bars; lines may follow. */
  close(): void;
}

export function createDisplay(out: NodeJS.WriteStream): DemoDisplay {
  return out.isTTY ? new BarDisplay(out) : new LineDisplay(out);
}

class BarDisplay implements DemoDisplay {
  readonly #out: NodeJS.WriteStream;
  #bars: MultiBar | undefined;
  readonly #jobs = new Map<string, SingleBar>();

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  line(text: string): void {
    if (this.#bars) this.#bars.log(`${text}\n`);
    else this.#out.write(`${text}\n`);
  }

  job(id: string, { title, fraction, note }: JobView): void {
    const payload = { title: title.padEnd(22), note };
    const existing = this.#jobs.get(id);
    if (existing) existing.update(fraction, payload);
    else this.#jobs.set(id, this.#multibar().create(1, fraction, payload));
  }

  close(): void {
    this.#bars?.stop();
    this.#bars = undefined;
    this.#jobs.clear();
  }

  #multibar(): MultiBar {
    this.#bars ??= new MultiBar({
      stream: this.#out,
      format: '  {title} {bar} {percentage}%  {note}',
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 28,
      hideCursor: true,
      fps: 12,
    });
    return this.#bars;
  }
}

class LineDisplay implements DemoDisplay {
  readonly #out: NodeJS.WriteStream;
  readonly #shown = new Map<string, string>();

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  line(text: string): void {
    this.#out.write(`${text}\n`);
  }

  job(id: string, { title, fraction, note }: JobView): void {
    const quarter = Math.floor(fraction * 4) * 25;
    const line = `  ${title.padEnd(22)} ${String(quarter).padStart(3)}%  ${note}`;
    if (this.#shown.get(id) === line) return;
    this.#shown.set(id, line);
    this.line(line);
  }

  close(): void {
    this.#shown.clear();
  }
}
