/**
 * Everything long-lived (a server, a loop, a socket pool) is a Service.
 * `start` resolves once it runs in the background; `stop` resolves once nothing of it is left: it takes no new work
 * first, and stopping twice, or what never started, is fine.
 */
export interface Service {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts in the given order; when one fails, what had started is stopped again in reverse and the error is thrown. */
export async function startAll(services: readonly Service[]): Promise<void> {
  const started: Service[] = [];
  for (const service of services) {
    try {
      await service.start();
      started.push(service);
    } catch (error) {
      await stopAll(started).catch(() => undefined);
      throw error;
    }
  }
}

/** Stops in reverse order. Every service is asked to stop even when another fails; the first error is thrown at the end. */
export async function stopAll(services: readonly Service[]): Promise<void> {
  const errors: unknown[] = [];
  for (const service of [...services].reverse()) {
    await service.stop().catch((error: unknown) => errors.push(error));
  }
  if (errors.length > 0) throw errors[0];
}
