/** The same results, but the next one is not asked for until there is room for it: until then its source conflates. */
const OVER: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** `room` resolves at once, or when the connection can take more, or when it has closed. `return` waits for neither. */
export function paced<T>(
  source: AsyncIterable<T>,
  room: () => Promise<void>,
): AsyncIterableIterator<T, undefined> {
  const results = source[Symbol.asyncIterator]();
  let over = false;
  return {
    async next() {
      await room();
      if (over) return OVER;
      const result = await results.next();
      return result.done ? OVER : result;
    },
    async return() {
      over = true;
      await results.return?.();
      return OVER;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
