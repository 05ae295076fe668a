/**
 * Waits for the end of a posted prompt. Its socket tells at once; whatever the socket does not tell is found out by
 * looking: when it fell silent, when it is not there, when the instance went away, when the POST was not answered. So a
 * job ends without any WebSocket at all.
 */
import type { HistoryEntry } from '../../comfyui/history.ts';
import { fault } from '../../domain/fault.ts';
import type { ActiveRun } from './active-run.ts';
import { insist } from './insist.ts';
import { look, lookInHistory } from './look.ts';
import { failed, INTERRUPTED, type Outcome } from './outcome.ts';
import { judge, type LookMemory, NOTHING_SEEN, type Sighting } from './verdict.ts';

export type Followed = { readonly kind: 'ended'; readonly entry: HistoryEntry } | Outcome;

interface Watch {
  memory: LookMemory;
  lastLookAt: number;
  /** When a look was last answered. */
  answeredAt: number;
  /** Looks made without hearing anything. */
  polls: number;
  /** The last verdict asked for another look after so many ms. */
  retryMs: number | null;
}

/** Without a socket: often at first, as most jobs that matter for latency are short, then once a second. */
const FIRST_POLL_MS = 100;
const LONGEST_POLL_MS = 1000;
/** History follows "over" within milliseconds, and `executing null` announces it. */
const OVER_PATIENCE_MS = 250;
/** ComfyUI starts a prompt within milliseconds; how long nothing may be heard before its place in the queue is looked up. */
const START_PATIENCE_MS = 3000;
const STALLED_RETRY_MS = 1000;

export async function follow(run: ActiveRun): Promise<Followed> {
  const { clock } = run.parts;
  const startedAt = clock.monotonic();
  const watch: Watch = {
    memory: NOTHING_SEEN,
    lastLookAt: startedAt,
    answeredAt: startedAt,
    polls: 0,
    retryMs: null,
  };
  for (;;) {
    if (run.interruption) return INTERRUPTED;
    const ms = nextLookInMs(run, watch);
    if (ms > 0) {
      await run.alarm.wait(ms, run.signal);
      continue;
    }
    const sighting = await takeLook(run, watch);
    if (run.interruption) return INTERRUPTED;
    const end = await conclude(run, watch, sighting);
    if (end) return end;
  }
}

function nextLookInMs(run: ActiveRun, watch: Watch): number {
  const { silenceMs, reconcileIntervalMs } = run.parts.config;
  const now = run.parts.clock.monotonic();
  if (run.lookSoon) return 0;
  if (watch.retryMs !== null) return watch.lastLookAt + watch.retryMs - now;
  if (run.overAt !== null) return Math.max(run.overAt, watch.lastLookAt) + OVER_PATIENCE_MS - now;
  if (run.hears()) {
    const start = nextStartCheck(run, watch);
    if (start !== null) return start - now;
    return Math.max(run.lastHeardAt + silenceMs, watch.lastLookAt + reconcileIntervalMs) - now;
  }
  return watch.lastLookAt + Math.min(LONGEST_POLL_MS, FIRST_POLL_MS * 1.5 ** watch.polls) - now;
}

/** When to see whether it has started, while nothing tells; null once it has, or while it waits for others. */
function nextStartCheck(run: ActiveRun, watch: Watch): number | null {
  const { stalledStartMs } = run.parts.config;
  if (run.posted !== 'accepted' || run.reached !== 'maybe-running') return null;
  const since = watch.memory.readySince;
  return since === null
    ? Math.max(run.postedAt + Math.min(START_PATIENCE_MS, stalledStartMs / 10), watch.lastLookAt + 1000)
    : Math.max(since + stalledStartMs, watch.lastLookAt + 1000);
}

async function takeLook(run: ActiveRun, watch: Watch): Promise<Sighting> {
  const { clock, config } = run.parts;
  const { http } = run.subject.member;
  if (run.wasGone) watch.memory = { ...watch.memory, wasGone: true };
  run.wasGone = false;
  run.lookSoon = false;
  watch.polls = run.hears() ? 0 : Math.min(watch.polls + 1, 10);
  if (run.ended) {
    const sighting = await lookInHistory(http, run.promptId, run.signal);
    watch.lastLookAt = clock.monotonic();
    if (sighting.kind === 'ended') return sighting;
  }
  const { sighting, clientId } = await look(http, run.promptId, config.probeTimeoutMs, run.signal);
  watch.lastLookAt = clock.monotonic();
  if (sighting.kind !== 'silent' && sighting.kind !== 'refused') watch.answeredAt = watch.lastLookAt;
  run.clientId ??= clientId;
  if (sighting.kind === 'queued') run.seenQueued(sighting.running, sighting.ahead);
  return sighting;
}

/** The end of the attempt, or null to go on. */
async function conclude(run: ActiveRun, watch: Watch, sighting: Sighting): Promise<Followed | null> {
  const { clock, config, recorder } = run.parts;
  const now = clock.monotonic();
  const { memory, verdict } = judge(
    watch.memory,
    sighting,
    {
      now,
      heardAt: Math.max(run.lastHeardAt, watch.answeredAt),
      unansweredForMs: run.posted === 'unanswered' ? now - run.postedAt : null,
      answeredBadly: run.posted === 'answered',
      endSeen: run.ended || run.overAt !== null,
      reached: run.reached,
    },
    config,
  );
  watch.memory = memory;
  watch.retryMs = verdict.kind === 'wait' ? verdict.ms : null;
  switch (verdict.kind) {
    case 'wait':
      return null;
    case 'alive':
      if (run.posted !== 'accepted') {
        run.posted = 'accepted';
        await insist(run, () => recorder.running(run.promptId, run.subject.term));
      }
      return null;
    case 'ended':
      run.posted = 'accepted';
      run.crashAt('end:seen');
      return { kind: 'ended', entry: verdict.entry };
    case 'stalled':
      return takeBackStalled(run, watch);
    case 'lost':
      run.logger.warn({ reason: verdict.reason, code: verdict.code }, 'an attempt is lost');
      // it answered the POST with an error, and did not queue the prompt: that is a failure, not a loss
      if (run.posted === 'answered') return failed(fault('SUBMIT_FAILED'));
      return { kind: 'lost', fault: fault(verdict.code) };
  }
}

/** Deletes it from the queue and makes sure that it did not start just then: a run that began goes on. */
async function takeBackStalled(run: ActiveRun, watch: Watch): Promise<Followed | null> {
  const { probeTimeoutMs } = run.parts.config;
  const { http } = run.subject.member;
  watch.retryMs = STALLED_RETRY_MS;
  const deleted = await http.deleteFromQueue([run.promptId], {
    deadlineMs: probeTimeoutMs,
    signal: run.signal,
  });
  if (!deleted.ok) return null;
  const { sighting } = await look(http, run.promptId, probeTimeoutMs, run.signal);
  if (sighting.kind !== 'absent') return null;
  run.logger.warn('an instance took a prompt but does not start it');
  return { kind: 'lost', fault: fault('INSTANCE_STALLED') };
}
