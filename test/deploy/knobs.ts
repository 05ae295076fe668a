/** The variables that the program reads: those of .env.example, which a test of its own keeps equal to the configuration. */
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

export const KNOBS: ReadonlySet<string> = new Set(
  Object.keys(parseEnv(readFileSync(new URL('../../.env.example', import.meta.url), 'utf8'))),
);

/** What the S3 client reads by itself. */
export const S3_CREDENTIALS = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'] as const;
