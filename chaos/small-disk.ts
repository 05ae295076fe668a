/** A really small file system in memory, mounted where a gateway keeps its data; filled to the last byte and freed again. */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export class SmallDisk {
  readonly #folder: string;
  readonly #onExit = (): void => this.#unmount();

  private constructor(folder: string) {
    this.#folder = folder;
    process.once('exit', this.#onExit);
  }

  /** @throws with what to do when this machine does not let us. */
  static mount(folder: string, megabytes: number): SmallDisk {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'comfyfleet-chaos', folder], {
        stdio: 'pipe',
      });
    } catch (error) {
      throw new Error(
        `no small file system could be mounted; run it as root, or: unshare -rm npm run chaos -- disk-full\n${error}`,
      );
    }
    return new SmallDisk(folder);
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#folder);
    return bavail * bsize;
  }

  /** Takes what is left; again and again, as what others free is taken too. */
  fill(): void {
    const file = openSync(join(this.#folder, 'filler'), 'a');
    try {
      for (let size = 1 << 20; size >= 1; size >>= 2) {
        const bytes = Buffer.alloc(size);
        while (fits(file, bytes));
      }
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(join(this.#folder, 'filler'), { force: true });
  }

  /** Whoever used it must have ended. */
  end(): void {
    process.off('exit', this.#onExit);
    this.#unmount();
  }

  #unmount(): void {
    // lazily: a process that is just being killed may still have a file open
    spawnSync('umount', ['-l', this.#folder]);
  }
}

function fits(file: number, bytes: Buffer): boolean {
  try {
    return writeSync(file, bytes) === bytes.length;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}
