/**
 * Structured JSON logs through pino, and the one place that keeps secrets out of them. No password, prompt, label, file name of
 * a user or picture goes in; `log-secrets.ts` removes what came along in an error or an address all the same.
 *
 * Fields have the same name on every line:
 *   requestId  of the HTTP request, or of the request that opened the WebSocket; also in the header X-Request-Id
 *   traceId    of the request or job, where it is traced
 *   job, attempt, instance, wish, tenant   ids as the store has them (an id of the API is base64 of `Job:<id>`)
 *   term       of the leader that wrote the line
 *   part       which part speaks, where that is not clear
 *   err        an error with its causes: type, message, code, stack
 *   reason     the same in words, where the error itself says no more
 *   code       a code of the API (`JobError.code`, `extensions.code`)
 *   ...Ms      milliseconds; ...Bytes bytes
 *
 * Levels: error is what somebody should look at now, warn what an operator should see, info the life of jobs, instances and
 * requests, debug what is said of single messages and probes. A process that cannot go on says fatal.
 */
import { type DestinationStream, type Logger, pino } from 'pino';
import { shownFields, withoutSecrets } from './log-secrets.ts';

export type { Logger } from 'pino';

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

/**
 * The root logger; parts take a child with their own fixed fields (`logger.child({ part: 'scheduler' })`): ids and names only,
 * pino shows those as they are.
 */
export function createLogger(level: LogLevel, destination: DestinationStream = standardOutput()): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { log: shownFields },
      // shownFields has described it; pino's own serializer would take in every property an error has
      serializers: { err: (described: unknown) => described },
      hooks: { streamWrite: withoutSecrets },
    },
    destination,
  );
}

/** So much may wait for a full disk behind stdout; what comes then is lost. */
const MOST_UNWRITTEN_BYTES = 2 ** 20;

/**
 * Written at once: pino's buffered writes cost the same, and hang the exit of a process whose reader has gone (EPIPE).
 * A disk that is full must not end the process.
 */
export function standardOutput(): DestinationStream {
  const stdout = pino.destination({ dest: 1, sync: true, maxLength: MOST_UNWRITTEN_BYTES });
  stdout.on('error', () => undefined);
  return stdout;
}
