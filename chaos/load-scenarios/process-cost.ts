/** What a process costs, as the system counts it (Linux). */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Program } from '../processes.ts';

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** Bytes of its resident memory; 0 when it does not run. */
export function residentBytes({ pid }: Pick<Program, 'pid'>): number {
  if (pid === undefined) return 0;
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}

/** Processor time it has used, in ms, that of the system for it included. */
export function processorMs({ pid }: Pick<Program, 'pid'>): number {
  if (pid === undefined) return 0;
  // the name in brackets may hold blanks; user and system time are the 14th and 15th field
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1000;
}
