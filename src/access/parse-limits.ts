/** The text of a TENANT_LIMITS_FILE, understood: the limits of every tenant, or all that is wrong. Pure. */
import { z } from 'zod';
import { type LimitsOf, NO_LIMITS, type TenantLimits } from '../domain/tenant-limits.ts';

export type ParsedLimits =
  | { readonly ok: true; readonly limitsOf: LimitsOf }
  | { readonly ok: false; readonly problems: readonly string[] };

const MOST_JOBS = 10_000_000;

/** Shares far from each other make turns that numbers cannot tell apart any more. */
const weight = z
  .number('must be a number')
  .min(0.001, 'must be at least 0.001')
  .max(1000, 'must be at most 1000');
const jobs = z
  .int(`must be a whole number from 0 to ${MOST_JOBS}, or null for no limit`)
  .min(0, 'must be 0 or more, or null for no limit')
  .max(MOST_JOBS, `must be at most ${MOST_JOBS}; null is no limit`)
  .nullable();

const FIELDS = 'weight, maxQueued, maxRunning';
const limits = z.strictObject({ weight, maxQueued: jobs, maxRunning: jobs }, describing(FIELDS)).partial();
const file = z.strictObject(
  {
    default: limits.optional(),
    tenants: z.record(z.string().min(1), limits, 'must be an object: limits by tenant').optional(),
  },
  describing('default, tenants'),
);

/** A field that a tenant does not name is that of `default`, or no limit and weight 1. */
export function parseLimits(text: string): ParsedLimits {
  const json = parseJson(text);
  if (!json.ok) return { ok: false, problems: [`is not JSON: ${json.problem}`] };
  const parsed = file.safeParse(json.value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) =>
      [path.join('.'), message].filter(Boolean).join(': '),
    );
    return { ok: false, problems };
  }
  const { default: given = {}, tenants = {} } = parsed.data;
  const usual = within(NO_LIMITS, given);
  const own = new Map(Object.entries(tenants).map(([tenant, fields]) => [tenant, within(usual, fields)]));
  return { ok: true, limitsOf: (tenant) => own.get(tenant) ?? usual };
}

type Fields = z.output<typeof limits>;

function within(usual: TenantLimits, { weight = usual.weight, ...caps }: Fields): TenantLimits {
  const { maxQueued = usual.maxQueued, maxRunning = usual.maxRunning } = caps;
  return { weight, maxQueued, maxRunning };
}

function describing(fields: string): { readonly error: z.core.$ZodErrorMap } {
  return {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return 'must be an object';
      return `has ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}, but may only have ${fields}`;
    },
  };
}

type ParsedJson =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: string };

function parseJson(text: string): ParsedJson {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch (error) {
    return { ok: false, problem: String(error) };
  }
}
