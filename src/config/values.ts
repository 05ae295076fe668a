/** The kinds of values that variables have. */
import { compile } from '@fastify/proxy-addr';
import { z } from 'zod';

/**
 * Whose X-Forwarded-* headers are believed: nobody's (false), everybody's (true), those of so many hops, or of these
 * addresses (IP, CIDR, or loopback, linklocal, uniquelocal).
 */
export type TrustProxy = boolean | number | readonly string[];

export const integer = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
export const milliseconds = (fallback: number, min = 1) => integer(min, 366 * 86_400_000).default(fallback);
export const bytes = (fallback: number) => integer(1, Number.MAX_SAFE_INTEGER).default(fallback);
export const flag = (fallback: 'true' | 'false') =>
  z
    .enum(['true', 'false', '1', '0'])
    .default(fallback)
    .transform((value) => value === 'true' || value === '1');
export const list = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean),
  );
export const webUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' })
  .transform((url) => url.replace(/\/+$/, ''));

export const trustedProxies = z
  .string()
  .default('false')
  .transform((text): TrustProxy => {
    if (text === 'true' || text === 'false') return text === 'true';
    return /^\d+$/.test(text) ? Number(text) : list.parse(text);
  })
  .refine((trust) => !Array.isArray(trust) || areAddresses(trust), {
    error:
      'must be true, false, a number of hops, or addresses such as 10.0.0.0/8, loopback, linklocal, uniquelocal',
  });

function areAddresses(texts: readonly string[]): boolean {
  try {
    compile([...texts]);
    return true;
  } catch {
    return false;
  }
}
