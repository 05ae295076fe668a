/** A server that tests start and end, whichever way it runs: as a process of this machine or in a container. */

export interface Daemon {
  /** Starts it, or starts it again with the data it had. It need not answer yet. */
  launch(): Promise<void>;
  /** A signal that is not waited for. */
  signal(name: NodeJS.Signals): Promise<void>;
  /** Stops the time of everything in it, and lets it go on. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  running(): Promise<boolean>;
  /** Resolves when it does not run any more. */
  ended(): Promise<void>;
  /** What it said, the end of it. */
  lastWords(): Promise<string>;
  /** Ends it at once and leaves nothing behind. */
  dispose(): Promise<void>;
}
