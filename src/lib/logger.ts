/** Structured JSON logs on stdout through pino. No secret, prompt text, file name of a user or picture goes in. */
import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

/** The root logger; parts take a child with their own fixed fields (`logger.child({ part: 'scheduler' })`). */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options = { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` };
  // written at once: pino's buffered writes cost the same, and hang the exit of a process whose reader has gone (EPIPE)
  return pino(options, destination ?? pino.destination({ dest: 1, sync: true }));
}
