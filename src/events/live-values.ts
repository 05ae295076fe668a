/** Live news as it is kept in Redis; null where there is none, or nothing that this version can read. */
import type { z } from 'zod';
import type { Preview, Progress } from '../domain/job.ts';
import { previewSchema, progressSchema } from './message-schema.ts';

export function readProgress(text: string | null | undefined): Progress | null {
  return read(progressSchema, text);
}

export function readPreview(text: string | null | undefined): Preview | null {
  return read(previewSchema, text);
}

function read<T>(schema: z.ZodType<T>, text: string | null | undefined): T | null {
  if (!text) return null;
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
