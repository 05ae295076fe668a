/** Waits for a condition under a deadline: for tests with real processes and sockets, which have no virtual clock. */
export async function eventually<T>(
  probe: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  options: { readonly withinMs?: number; readonly what?: string } = {},
): Promise<T> {
  const deadline = performance.now() + (options.withinMs ?? 10_000);
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== null && value !== false) return value as T;
    if (performance.now() > deadline) throw new Error(`never came true: ${options.what ?? probe.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
