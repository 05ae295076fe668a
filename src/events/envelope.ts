/**
 * What travels on the fleet's channel. Each publisher numbers the messages it wants to send, also those it had to drop,
 * and says its number every second: so a receiver sees that something is missing, even when it was the last message.
 *
 *   news    message number `n` of the publisher
 *   beat    the publisher lives and has counted to `n`
 *   bye     the same, and nothing more will come
 */
import { z } from 'zod';
import { messageSchema } from './message-schema.ts';
import type { BusMessage } from './messages.ts';

/** Grows when an older program could misread what a newer one sends. */
const VERSION = 1;
/** Of characters. Only an instance's own messages, passed on as they are, could come near. */
const MAX_LENGTH = 256 * 1024;

export type Envelope =
  | { readonly type: 'news'; readonly from: string; readonly n: number; readonly message: BusMessage }
  | { readonly type: 'beat' | 'bye'; readonly from: string; readonly n: number };

/** `foreign`: of another version of the program, which may well tell of something. */
export type Opened = Envelope | { readonly type: 'foreign' | 'malformed' };

const head = { v: z.literal(VERSION), from: z.string().min(1).max(64), n: z.int().nonnegative() };
const schema = z.discriminatedUnion('type', [
  z.object({ ...head, type: z.literal('news'), message: messageSchema }),
  z.object({ ...head, type: z.literal('beat') }),
  z.object({ ...head, type: z.literal('bye') }),
]);
const otherVersion = z.object({ v: z.number() });

/** The text to send; null when it is too long to be read by anybody. */
export function seal(envelope: Envelope): string | null {
  const text = JSON.stringify({ v: VERSION, ...envelope });
  return text.length > MAX_LENGTH ? null : text;
}

/** Reads what came in; whoever can reach the channel may have sent it. */
export function open(text: string): Opened {
  if (text.length > MAX_LENGTH) return { type: 'malformed' };
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return { type: 'malformed' };
  }
  const read = schema.safeParse(data);
  if (read.success) return read.data;
  const version = otherVersion.safeParse(data);
  return { type: version.success && version.data.v !== VERSION ? 'foreign' : 'malformed' };
}
