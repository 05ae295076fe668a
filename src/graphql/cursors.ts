/** Opaque cursors: of a job in a list (creation time and id, so that a changing list never repeats or skips) and of an event. */
import type { JobCursor } from '../store/jobs.ts';

const encode = (text: string): string => Buffer.from(text).toString('base64url');
const decode = (text: string): string => Buffer.from(text, 'base64url').toString('utf8');

export function jobCursor(job: JobCursor): string {
  return encode(`${job.createdAt}:${job.id}`);
}

/** Null for a text that is no cursor of a list of jobs. */
export function parseJobCursor(text: string): JobCursor | null {
  const [, createdAt, id] = /^(\d{1,15}):(.{1,200})$/.exec(decode(text)) ?? [];
  return createdAt !== undefined && id !== undefined ? { createdAt: Number(createdAt), id } : null;
}

export function eventCursor(seq: number): string {
  return encode(`event:${seq}`);
}

/** The durable event's number; null for a text that is no cursor of an event. */
export function parseEventCursor(text: string): number | null {
  const [, seq] = /^event:(\d{1,12})$/.exec(decode(text)) ?? [];
  return seq === undefined ? null : Number(seq);
}
