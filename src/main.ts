#!/usr/bin/env node
/**
 * argv and environment in, a command out; signals ask it to stop. The sole user of process.env and process.exit.
 * Exit codes: 0 done, 1 failed, 2 the configuration or the arguments could not be understood.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { type Config, ConfigError, parseConfig } from './config.ts';
import {
  CRASH_POINTS,
  type CrashHook,
  crashingAt,
  neverCrash,
  parseCrashPlan,
} from './domain/crash-points.ts';
import { systemClock } from './lib/clock.ts';
import type { Log } from './lib/log-output.ts';
import { withoutSecrets } from './lib/log-secrets.ts';
import type { Logger } from './lib/logger.ts';

const DEMO_PICTURE = new URL('../assets/orange.png', import.meta.url);

// Each command loads its own part: a simulated instance starts in a fifth of the time without the gateway's libraries.
const commands = {
  serve: () => import('./cli/serve.ts'),
  simulate: () => import('./cli/simulate.ts'),
  demo: () => import('./cli/demo.ts'),
};
const logOutput = () => import('./lib/log-output.ts');

/** Aborts on the first SIGTERM or SIGINT; a second one ends the process at once. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(1);
      controller.abort();
    });
  }
  return controller.signal;
}

function readConfig(overrides: Record<string, string> = {}): Config {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return parseConfig({ ...process.env, ...overrides });
}

async function openLog({ logLevel, logFormat, logDir }: Config): Promise<Log> {
  const { openLog: open } = await logOutput();
  return open({
    level: logLevel,
    format: logFormat,
    dir: logDir,
    clock: systemClock,
    colours: Boolean(process.stdout.isTTY),
  });
}

/** A process that has lost its way says why and ends: whoever runs it starts it again, and the rows tell what to go on with. */
function endOnCrash({ logger, close }: Log): void {
  const end = async (err: unknown, what: string): Promise<void> => {
    process.exitCode = 1;
    logger.fatal({ err }, what);
    await close();
    process.exit(1);
  };
  process.on(
    'uncaughtException',
    (error) => void end(error, 'an error that nobody caught: the process ends'),
  );
  process.on(
    'unhandledRejection',
    (reason) => void end(reason, 'a promise that nobody caught: the process ends'),
  );
}

/** For fault tests: the process ends at once where CRASH_AT says. */
function crashHook({ crashAt }: Config, logger: Logger): CrashHook {
  if (crashAt === undefined) return neverCrash;
  const plan = parseCrashPlan(crashAt);
  if (!plan)
    throw new ConfigError(`CRASH_AT: "${crashAt}" is none of ${CRASH_POINTS.join(', ')} (or label:n)`);
  logger.warn({ crashAt }, 'this process will kill itself');
  return crashingAt(plan, () => process.kill(process.pid, 'SIGKILL'));
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('a whole number is expected');
  return value;
}

/** The work with a log that is whole when it is over, however it ends. */
async function logged(config: Config, work: (logger: Logger) => Promise<void>): Promise<void> {
  const log = await openLog(config);
  endOnCrash(log);
  try {
    await work(log.logger);
  } catch (err) {
    log.logger.fatal({ err }, 'comfyfleet could not go on');
    throw err;
  } finally {
    await log.close();
  }
}

function serveCommand(): Command {
  return new Command('serve')
    .description('run the gateway (configured by the environment, see .env.example)')
    .action(async () => {
      const config = readConfig();
      await logged(config, async (logger) => {
        const { serve } = await commands.serve();
        await serve(config, logger, stopSignal(), crashHook(config, logger));
      });
    });
}

function simulateCommand(): Command {
  return new Command('simulate')
    .description('run a simulated ComfyUI without a GPU')
    .option('--port <port>', 'TCP port, 0 picks a free one', wholeNumber, 8188)
    .option('--host <host>', 'address to bind', '127.0.0.1')
    .option('--step-ms <ms>', 'time of a sampler step', wholeNumber, 100)
    .option('--node-ms <ms>', 'time of any other node', wholeNumber, 20)
    .option('--model-load-ms <ms>', 'time to load a model that is not resident', wholeNumber, 1000)
    .option('--data-dir <dir>', 'keeps input and output files; default: a temporary folder')
    .option('--log-file <file>', 'keeps what it was posted and what it ran, also when the process is killed')
    .option('--previews', 'send a JPEG preview at each sampler step')
    .option('--refuse-websockets', 'refuse every WebSocket, as a broken proxy would')
    .action(async (flags) => {
      const { port, host, stepMs, nodeMs, modelLoadMs, dataDir, logFile } = flags;
      const times = {
        stepMs,
        nodeMs,
        modelLoadMs,
        previewMethod: flags.previews ? 'latent' : 'none',
      } as const;
      const place = { port, host, ...(dataDir ? { dataDir } : {}), ...(logFile ? { logFile } : {}) };
      const faults = { refuseSockets: Boolean(flags.refuseWebsockets) };
      const announce = (url: string) => process.stdout.write(`simulated ComfyUI on ${url}\n`);
      const { simulate } = await commands.simulate();
      const crash = await simulate({ ...place, ...times, faults }, announce, stopSignal());
      if (crash !== null) throw new Error(`the simulated ComfyUI died: ${crash}`);
    });
}

function demoCommand(): Command {
  return new Command('demo')
    .description('three simulated instances and the gateway: upload, run, watch and save real jobs')
    .option('--once', 'inspect every saved file and end; exit code 0 only if all is right')
    .option('--folder <dir>', 'where the pictures are saved', 'demo-results')
    .option('--refuse-websockets', 'let the simulated instances refuse every WebSocket')
    .action(async (flags) => {
      const config = readConfig({
        COMFYUI_INSTANCES: '',
        ...(process.env.LOG_LEVEL ? {} : { LOG_LEVEL: 'warn' }),
      });
      await logged(config, async (logger) => {
        const { demo } = await commands.demo();
        const problems = await demo({
          once: Boolean(flags.once),
          folder: flags.folder,
          refuseWebsockets: Boolean(flags.refuseWebsockets),
          picture: DEMO_PICTURE,
          entry: fileURLToPath(import.meta.url),
          config,
          logger,
          out: process.stdout,
          signal: stopSignal(),
        });
        if (problems.length > 0) process.exitCode = 1;
      });
    });
}

async function main(): Promise<void> {
  const program = new Command('comfyfleet').description('A GraphQL gateway for fleets of ComfyUI instances');
  program.addCommand(serveCommand()).addCommand(simulateCommand()).addCommand(demoCommand());
  await program.parseAsync();
}

main().then(
  () => process.exit(),
  (error: unknown) => {
    const text = withoutSecrets(error instanceof Error ? error.message : String(error));
    process.stderr.write(error instanceof ConfigError ? `${text}\n` : `comfyfleet: ${text}\n`);
    process.exit(error instanceof ConfigError ? 2 : 1);
  },
);
