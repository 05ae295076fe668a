/**
 * Loaded into the gateway's process before it (`--import`), for rounds that look at memory, handles and the event loop from
 * within, so that the program itself has no such code. Every CHAOS_PROBE_MS it appends one line of JSON to CHAOS_PROBE;
 * SIGUSR2 does so at once, after a garbage collection, and begins a new measurement of the event loop.
 */
import { appendFileSync, readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** A timer of this period; what it is late by is the delay of the loop. */
const RESOLUTION_MS = 10;

const file = process.env.CHAOS_PROBE ?? '';
const everyMs = Number(process.env.CHAOS_PROBE_MS ?? 1000);
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
loop.enable();

function look(kind: 'sample' | 'mark'): void {
  if (kind === 'mark') collect();
  const { heapUsed, rss, external, arrayBuffers } = process.memoryUsage();
  const resources: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1;
  const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
  const delay = { p50: late(loop.percentile(50)), p99: late(loop.percentile(99)), max: late(loop.max) };
  const files = readdirSync('/proc/self/fd').length;
  const { chaosCounts: counts } = globalThis as { chaosCounts?: object };
  const line = {
    kind,
    at: Date.now(),
    heapUsed,
    rss,
    external,
    arrayBuffers,
    files,
    resources,
    delay,
    counts,
  };
  appendFileSync(file, `${JSON.stringify(line)}\n`);
  if (kind === 'mark') loop.reset();
}

process.on('SIGUSR2', () => look('mark'));
setInterval(() => look('sample'), everyMs).unref();
