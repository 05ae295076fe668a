/** `comfyfleet serve`: the gateway, or the part of it that ROLE says, until it is asked to stop. */
import { type App, createApp } from '../app.ts';
import type { Config } from '../config.ts';
import type { CrashHook } from '../domain/crash-points.ts';
import type { Logger } from '../lib/logger.ts';

/** Serves until the signal aborts, then stops: open requests are answered, subscriptions end, running prompts go on. */
export async function serve(
  config: Config,
  logger: Logger,
  signal: AbortSignal,
  crashAt: CrashHook,
): Promise<void> {
  const app = await unlessStopped(signal, createApp(config, logger, crashAt, signal));
  if (!app) {
    logger.info('comfyfleet was asked to stop before it served');
    return;
  }
  await app.start();
  const { url } = app;
  const { role, comfyuiInstances } = config;
  const graphql = role === 'scheduler' ? {} : { graphql: `${url}/graphql` };
  const instances = role === 'api' ? {} : { instances: comfyuiInstances.length };
  logger.info({ role, url, ...graphql, ...instances }, 'comfyfleet is serving');
  if (!signal.aborted)
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  logger.info('comfyfleet is stopping');
  await app.stop();
  logger.info('comfyfleet has stopped');
}

/** Null when the signal ended the making; a failure of its own is thrown also then. */
function unlessStopped(signal: AbortSignal, making: Promise<App>): Promise<App | null> {
  return making.catch((error: unknown) => {
    if (signal.aborted && error === signal.reason) return null;
    throw error;
  });
}
