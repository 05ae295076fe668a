import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DurableFolders } from '../../src/storage/durable-folder.ts';

describe('DurableFolders', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'folders-'));
  });

  afterEach(async () => {
    await rm(root, { recursive: true });
  });

  it('makes a folder with its parents, also when asked many times at once', async () => {
    const folders = new DurableFolders();
    const folder = join(root, 'a', 'b', 'c');
    await Promise.all(Array.from({ length: 5 }, () => folders.ensure(folder, root)));
    expect((await stat(folder)).isDirectory()).toBe(true);
  });

  it('makes a folder again once told that it is gone', async () => {
    const folders = new DurableFolders();
    const folder = join(root, 'a', 'b');
    await folders.ensure(folder, root);
    await rm(join(root, 'a'), { recursive: true });
    folders.forget(folder, root);
    await folders.ensure(folder, root);
    expect((await stat(folder)).isDirectory()).toBe(true);
  });

  it('lets those who wait for the same folder share one sync, but never the one that began before them', async () => {
    const folders = new DurableFolders();
    const first = folders.sync(root);
    const second = folders.sync(root);
    const third = folders.sync(root);
    expect(second).not.toBe(first);
    expect(third).toBe(second);
    await Promise.all([first, second]);
    const later = folders.sync(root);
    expect(later).not.toBe(second);
    await later;
  });

  it('fails for a folder that is not there, and works again once it is', async () => {
    const folders = new DurableFolders();
    const folder = join(root, 'late');
    await expect(folders.sync(folder)).rejects.toThrow('ENOENT');
    await folders.ensure(folder, root);
    await expect(folders.sync(folder)).resolves.toBeUndefined();
  });
});
