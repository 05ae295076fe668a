/** Where the lines of a process go: stdout, for machines or people, and files beside it where a folder is named. */
import { mkdirSync } from 'node:fs';
import { type DestinationStream, multistream, type StreamEntry } from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { Clock } from './clock.ts';
import { LogFile } from './log-file.ts';
import { createLogger, type Logger, type LogLevel, standardOutput } from './logger.ts';

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'pretty';
  /** Gets combined.log, and error.log for what is an error or worse: JSON, whatever the format. */
  readonly dir: string | undefined;
  readonly clock: Clock;
  /** Of pretty lines. */
  readonly colours: boolean;
  /** Default: the process's own. */
  readonly stdout?: DestinationStream;
}

export interface Log {
  readonly logger: Logger;
  /** The last lines are in the files; what is logged later shows on stdout only. */
  close(): Promise<void>;
}

/** Never fails: what cannot be written to a file is on stdout, with the reason. */
export function openLog(options: LogOptions): Log {
  const { level, format, dir, clock, colours, stdout = standardOutput() } = options;
  const shown = format === 'pretty' ? prettily(stdout, colours) : stdout;
  if (dir === undefined) return { logger: createLogger(level, shown), close: async () => undefined };
  const file = (name: string): LogFile =>
    new LogFile({
      ...{ dir, name, clock },
      onBroken: (err) => logger.error({ err, file: name }, 'a log file is not written: its lines are lost'),
      onRepaired: () => logger.warn({ file: name }, 'the log file is written again'),
    });
  const files = [file('combined.log'), file('error.log')] as const;
  const streams: StreamEntry[] = [
    { level: 'trace', stream: shown },
    { level: 'trace', stream: files[0] },
    { level: 'error', stream: files[1] },
  ];
  const logger = createLogger(level, multistream(streams));
  makeFolder(dir, logger);
  const close = async (): Promise<void> => {
    await Promise.all(files.map((each) => each.close()));
  };
  return { logger, close };
}

/** Others on the machine must not read along. */
function makeFolder(dir: string, logger: Logger): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    logger.error({ err: error, dir }, 'the folder LOG_DIR cannot be made');
  }
}

/** At once and in this thread: a line that was said before a crash is seen. */
function prettily(stdout: DestinationStream, colorize: boolean): DestinationStream {
  const format = prettyFactory({ colorize, translateTime: 'SYS:HH:MM:ss.l', singleLine: true });
  return { write: (line) => void stdout.write(format(line)) };
}
