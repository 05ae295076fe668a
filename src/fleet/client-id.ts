/**
 * Which client id the next connection to an instance takes. ComfyUI sends a prompt's messages to the socket of the client
 * id it was posted with, so the id is kept while prompts of ours run there. It is given up when the old connection may
 * still exist on the server's side, since its late end would silence the new one. (observed on ComfyUI 0.3.64)
 */
export interface ClientIdSituation {
  /** The id of the connection before, or the stored one of an earlier process; null for none. */
  readonly last: string | null;
  /** A connection with it was open, in this process or an earlier one. */
  readonly wasUsed: boolean;
  /** Prompts posted with it wait or run on the instance. */
  readonly inUse: boolean;
  /** Its connection ended without both sides knowing, or was heard no more. */
  readonly suspect: boolean;
}

/** `fresh` makes a new one. */
export function nextClientId(situation: ClientIdSituation, fresh: () => string): string {
  const { last, wasUsed, inUse, suspect } = situation;
  if (last === null || suspect) return fresh();
  return inUse || !wasUsed ? last : fresh();
}
