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

/**
 * Several as one: they start in the given order, and stop all at once, so that a long last step of one does not hold up what
 * another has to give back.
 */
export function together(services: readonly Service[]): Service {
  return {
    start: () => startAll(services),
    async stop() {
      const ends = await Promise.allSettled(services.map((service) => service.stop()));
      const failed = ends.find(({ status }) => status === 'rejected');
      if (failed?.status === 'rejected') throw failed.reason;
    },
  };
}
