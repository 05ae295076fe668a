/**
 * Places on a job's way where a crash of the process would hurt most. `CRASH_AT=label` ends the process there with
 * SIGKILL, and a test comes by every one of them: after the next start every job must go on as if nothing had been.
 */
export const CRASH_POINTS = [
  /** A submit: its rows are written, not committed. */
  'queue:before-commit',
  /** Committed, the client has no answer yet. */
  'queue:after-commit',
] as const;

export type CrashPoint = (typeof CRASH_POINTS)[number];

/** Called at each place with its label; does nothing unless a test wants it. */
export type CrashHook = (point: CrashPoint) => void;

export const neverCrash: CrashHook = () => undefined;
