/**
 * Fetches one file as often as it makes sense: a transfer that breaks three times, an instance that is away until it
 * counts as lost, storage without room as long as our patience allows. Between two tries it takes up no place at the gate.
 */
import type { ComfyHttp } from '../../comfyui/http.ts';
import type { ComfyFile } from '../../comfyui/output-items.ts';
import { type Clock, pause } from '../../lib/clock.ts';
import type { Presence } from '../runs/presence.ts';
import { type Destination, type Fetched, fetchFile, type StoredFile } from './fetch-output.ts';
import type { RoomWait } from './room-wait.ts';
import type { TransferGate } from './transfer-gate.ts';

export interface Patience {
  readonly http: Pick<ComfyHttp, 'view'>;
  readonly clock: Clock;
  readonly gate: TransferGate;
  readonly instanceId: string;
  /** Who takes turns at the gate. */
  readonly owner: string;
  readonly presence: Presence;
  readonly room: RoomWait;
}

export type FetchEnd =
  | StoredFile
  /** `detail` for the user, `reason` for the log. */
  | { readonly kind: 'failed'; readonly reason: string; readonly detail: string | null }
  | { readonly kind: 'too-large'; readonly detail: string }
  /** The instance is gone, or came back without the file. */
  | { readonly kind: 'lost'; readonly reason: string }
  | { readonly kind: 'aborted' };

const TRIES = 3;
const RETRY_MS = 250;
/** An instance that is away and back over and over ends as lost too. */
const MOST_COMEBACKS = 10;
export const NO_ROOM_DETAIL = 'there is no space left to store an output file';

export async function fetchPatiently(
  patience: Patience,
  file: ComfyFile,
  destination: Destination,
  signal: AbortSignal,
): Promise<FetchEnd> {
  const { gate, instanceId, owner, http } = patience;
  const spent: Spent = { broken: 0, comebacks: 0, noRoom: 0 };
  while (!signal.aborted) {
    const once = (): Promise<Fetched> => fetchFile(http, file, destination, signal);
    const fetched = await gate.pass(instanceId, owner, once, signal);
    if (fetched === null) break;
    if (fetched.kind === 'stored') patience.room.over();
    if (fetched.kind === 'stored' || fetched.kind === 'too-large') return fetched;
    const end = signal.aborted ? null : await afterFailure(patience, fetched, spent, signal);
    if (end) return end;
  }
  return { kind: 'aborted' };
}

interface Spent {
  broken: number;
  comebacks: number;
  noRoom: number;
}

type Failure = Extract<Fetched, { reason: string }>;

/** Waits until another try makes sense and answers null, or says why none does. */
async function afterFailure(
  { presence, room, clock }: Patience,
  { kind, reason }: Failure,
  spent: Spent,
  signal: AbortSignal,
): Promise<FetchEnd | null> {
  if (kind === 'no-room') {
    if (await room.wait(reason, ++spent.noRoom, signal)) return null;
    return signal.aborted ? null : { kind: 'failed', reason, detail: NO_ROOM_DETAIL };
  }
  const found = await presence.find();
  if (signal.aborted) return null;
  if (found === 'lost' || spent.comebacks >= MOST_COMEBACKS) return { kind: 'lost', reason };
  if (found === 'back') {
    spent.comebacks++;
    return null;
  }
  spent.broken++;
  if (spent.broken >= TRIES) {
    // a file that went while its instance was away is the instance's loss
    const gone = kind === 'absent' && presence.wasAway;
    return gone ? { kind: 'lost', reason } : { kind: 'failed', reason, detail: null };
  }
  await pause(clock, RETRY_MS * 2 ** (spent.broken - 1), signal);
  return null;
}
