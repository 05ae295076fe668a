/**
 * Makes names survive a power cut: a rename is durable only once its folder is synced, and a new folder only once its parent
 * is. Renames that finish while a sync of the same folder waits its turn share the next one.
 */
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

interface Turn {
  running: Promise<void>;
  next: Promise<void> | undefined;
}

export class DurableFolders {
  readonly #known = new Set<string>();
  readonly #turns = new Map<string, Turn>();

  /** Makes the folder and its parents down from `root`, which must exist; durable when it resolves. */
  async ensure(folder: string, root: string): Promise<void> {
    if (folder === root || this.#known.has(folder)) return;
    const parent = dirname(folder);
    await this.ensure(parent, root);
    await mkdir(folder, { recursive: true });
    await this.sync(parent);
    this.#known.add(folder);
  }

  /** The folder went missing behind our back: `ensure` makes it again. */
  forget(folder: string, root: string): void {
    for (let path = folder; path.startsWith(root) && path !== root; path = dirname(path)) {
      this.#known.delete(path);
    }
  }

  /** Resolves once every change made in the folder before this call is on the disk. */
  sync(folder: string): Promise<void> {
    const turn = this.#turns.get(folder);
    if (!turn) return this.#begin(folder);
    // The running sync may have started before our rename: only the one after it surely covers us.
    turn.next ??= turn.running.then(
      () => this.#begin(folder),
      () => this.#begin(folder),
    );
    return turn.next;
  }

  #begin(folder: string): Promise<void> {
    const turn: Turn = { running: syncFolder(folder), next: undefined };
    this.#turns.set(folder, turn);
    const done = (): void => {
      if (this.#turns.get(folder) === turn && !turn.next) this.#turns.delete(folder);
    };
    turn.running.then(done, done);
    return turn.running;
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
