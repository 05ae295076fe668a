/** Which models are resident on the simulated GPU: the last used ones, as many as fit. */
import { PythonError } from './python-error.ts';

export class ModelMemory {
  private readonly resident: string[] = [];

  names(): readonly string[] {
    return this.resident;
  }

  clear(): void {
    this.resident.length = 0;
  }

  /** Uses a model; `loaded` when it was not there. The least recently used one makes room. */
  touch(name: string, capacity: number): 'resident' | 'loaded' {
    const index = this.resident.indexOf(name);
    if (index >= 0) this.resident.splice(index, 1);
    this.resident.push(name);
    if (this.resident.length > capacity) this.resident.shift();
    return index >= 0 ? 'resident' : 'loaded';
  }
}

/** What torch raises when the GPU is full. */
export function outOfMemory(nodeClass: string): PythonError {
  const text = 'Allocation on device 0 would exceed allowed memory. (out of memory)';
  const amounts = `Currently allocated: 23.10 GiB, requested: 2.25 GiB (${nodeClass})`;
  return new PythonError('torch.OutOfMemoryError', `${text}\n${amounts}`);
}
