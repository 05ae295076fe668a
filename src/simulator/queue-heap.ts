/**
 * The binary heap of Python's heapq (C version), step for step, because what an interrupted sift leaves behind is
 * visible: two items whose comparison raises make a 500 with both queued, or lose an unrelated item
 * (both observed on ComfyUI 0.3.64).
 */
export type Less<T> = (a: T, b: T) => boolean;

export function heapPush<T>(heap: T[], item: T, less: Less<T>): void {
  heap.push(item);
  siftDown(heap, 0, heap.length - 1, less);
}

/** Takes the smallest item; what `less` throws passes through, with the heap as Python would leave it. */
export function heapPop<T>(heap: T[], less: Less<T>): T | undefined {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return last;
  const smallest = at(heap, 0);
  heap[0] = last;
  siftUp(heap, 0, less);
  return smallest;
}

export function heapify<T>(heap: T[], less: Less<T>): void {
  for (let index = (heap.length >> 1) - 1; index >= 0; index -= 1) siftUp(heap, index, less);
}

function siftDown<T>(heap: T[], start: number, from: number, less: Less<T>): void {
  let position = from;
  while (position > start) {
    const parent = (position - 1) >> 1;
    if (!less(at(heap, position), at(heap, parent))) break;
    swap(heap, position, parent);
    position = parent;
  }
}

function siftUp<T>(heap: T[], from: number, less: Less<T>): void {
  let position = from;
  const limit = heap.length >> 1;
  while (position < limit) {
    let child = 2 * position + 1;
    if (child + 1 < heap.length && !less(at(heap, child), at(heap, child + 1))) child += 1;
    swap(heap, position, child);
    position = child;
  }
  siftDown(heap, from, position, less);
}

function at<T>(heap: readonly T[], index: number): T {
  return heap[index] as T;
}

function swap<T>(heap: T[], a: number, b: number): void {
  const kept = at(heap, a);
  heap[a] = at(heap, b);
  heap[b] = kept;
}
