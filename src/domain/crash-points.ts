/**
 * Places on a job's way where a crash of the process would hurt most. `CRASH_AT=label` (`label:n`: the nth time) ends the
 * process there with SIGKILL, and a test comes by every one of them: after the next start every job must go on as if
 * nothing had been.
 */
export const CRASH_POINTS = [
  /** A picture lies in storage, no row names it. */
  'upload:stored',
  /** Its row is written; the job that takes it is not, or the client has no answer. */
  'upload:kept',
  /** A submit: its rows are written, not committed. */
  'queue:before-commit',
  /** Committed, nobody was told. */
  'queue:after-commit',
  /** The bus was told, the client has no answer yet. */
  'queue:announced',

  /** A job has a place and an attempt, not committed. */
  'assign:before-commit',
  /** The attempt's row, with the id its prompt will have, is committed; nothing is sent. */
  'assign:after-commit',
  /** The instance has the input files of the job. */
  'input:handed-over',
  /** Everything is ready, the POST of the prompt comes next. */
  'post:ready',
  /** The POST is on its way: the instance may get it or not. */
  'post:sent',
  /** The instance took only a part of the prompt, which is to be taken back. */
  'post:partly-accepted',
  /** The instance took the prompt; no row says so. */
  'post:accepted',

  /** The attempt is written as running, not committed. */
  'running:before-commit',
  /** Committed: the run is followed. */
  'running:after-commit',
  /** The end of the run was seen, nothing of it is written. */
  'end:seen',
  /** The attempt is written as collecting, not committed. */
  'collecting:before-commit',
  /** Committed. */
  'collecting:after-commit',
  /** A piece of an output has come; reached with each piece of each file. */
  'output:receiving',
  /** An output lies in storage, no row names it. */
  'output:stored',
  /** The row of an output is written, not committed. */
  'output:before-commit',
  /** Committed, nobody was told. */
  'output:after-commit',

  /** The job is written as completed, not committed. */
  'complete:before-commit',
  /** Committed, nobody was told. */
  'complete:after-commit',
  /** The bus was told. */
  'complete:announced',
  /** A failure (final, or to be tried again) is written, not committed. */
  'fail:before-commit',
  /** Committed, nobody was told. */
  'fail:after-commit',
  /** A loss is written, not committed. */
  'lose:before-commit',
  /** Committed: the job waits again, nobody was told. */
  'lose:after-commit',

  /** A cancel is written, not committed. */
  'cancel:before-commit',
  /** Committed; the instance still runs the prompt. */
  'cancel:after-commit',
  /** The instance is free of a prompt that nobody wants; the place in the rows is not. */
  'release:done',
  /** The place is written as free, not committed. */
  'close-canceled:before-commit',
  /** Committed. */
  'close-canceled:after-commit',
  /** A job that waited past its deadline is written as failed, not committed. */
  'expire:before-commit',
  /** Committed, nobody was told. */
  'expire:after-commit',
  /** A job's rows are deleted, not committed. */
  'remove:before-commit',
  /** Committed; its files are still there. */
  'remove:after-commit',
  /** A file that no row names is gone, the note about it is not. */
  'clean-up:file-removed',

  /** Facts left the outbox and are added to the figures, not committed. */
  'fold:before-commit',
  /** Committed; more may wait. */
  'fold:after-commit',

  /** A start: the open attempts are ours by their rows, none is followed yet. */
  'adopt:claimed',
  /** A prompt of ours that no attempt stands for was found on an instance. */
  'sweep:found',
  /** It was taken off the instance. */
  'sweep:removed',
  /** A stop: the loop has ended, runs are still followed. */
  'stop:begun',
  /** Nothing is followed any more, the leadership is not given back. */
  'stop:let-go',
] as const;

export type CrashPoint = (typeof CRASH_POINTS)[number];

/** A write with a point on either side of its commit. */
export type CrashWrite = BeforeCommit<CrashPoint>;
type BeforeCommit<P> = P extends `${infer Write}:before-commit` ? Write : never;

/** Called at each place with its label; does nothing unless a test wants it. */
export type CrashHook = (point: CrashPoint) => void;

export const neverCrash: CrashHook = () => undefined;

/** Where to crash: the nth time that the point is reached. */
export interface CrashPlan {
  readonly point: CrashPoint;
  readonly nth: number;
}

/** Reads `label` or `label:n`; null when it is neither. */
export function parseCrashPlan(text: string): CrashPlan | null {
  const [, label, nth = '1'] = /^(.*?)(?::([1-9]\d{0,8}))?$/.exec(text) ?? [];
  const point = CRASH_POINTS.find((known) => known === label);
  return point === undefined ? null : { point, nth: Number(nth) };
}

/** A hook that calls `crash` when the plan comes true. */
export function crashingAt({ point, nth }: CrashPlan, crash: () => void): CrashHook {
  let reached = 0;
  return (here) => {
    if (here !== point) return;
    reached += 1;
    if (reached === nth) crash();
  };
}
