import { describe, expect, it } from 'vitest';
import { parseLimits } from '../../src/access/parse-limits.ts';
import { NO_LIMITS, type TenantLimits } from '../../src/domain/tenant-limits.ts';

function limitsIn(file: unknown, tenant: string): TenantLimits {
  const parsed = parseLimits(JSON.stringify(file));
  if (!parsed.ok) throw new Error(parsed.problems.join('; '));
  return parsed.limitsOf(tenant);
}

function problemsOf(text: string): readonly string[] {
  const parsed = parseLimits(text);
  return parsed.ok ? [] : parsed.problems;
}

describe('parseLimits', () => {
  const file = {
    default: { weight: 2, maxQueued: 1000, maxRunning: 4 },
    tenants: { acme: { weight: 3, maxQueued: null }, bob: {}, stopped: { maxRunning: 0 } },
  };

  it.each([
    ['acme', { weight: 3, maxQueued: null, maxRunning: 4 }],
    ['bob', file.default],
    ['whoever', file.default],
    ['stopped', { ...file.default, maxRunning: 0 }],
  ])('gives %s what it names, and the default for the rest', (tenant, limits) => {
    expect(limitsIn(file, tenant)).toEqual(limits);
  });

  it.each([{}, { tenants: {} }, { default: {} }])('limits nobody where nothing is said: %j', (empty) => {
    expect(limitsIn(empty, 'acme')).toEqual(NO_LIMITS);
  });

  it.each(['constructor', 'toString', '__proto__'])(
    'knows no tenant %s that is not in the file',
    (tenant) => {
      expect(limitsIn(file, tenant)).toEqual(file.default);
    },
  );

  it.each([
    ['{', ['is not JSON: SyntaxError']],
    ['', ['is not JSON: SyntaxError']],
    ['[]', ['must be an object']],
    ['null', ['must be an object']],
    ['{"tenant": {}}', ['has "tenant", but may only have default, tenants']],
    ['{"tenants": {"acme": {"maxQueue": 3}}}', ['tenants.acme: has "maxQueue", but may only have weight,']],
    ['{"tenants": {"acme": 3}}', ['tenants.acme: must be an object']],
    ['{"tenants": []}', ['tenants: must be an object']],
    ['{"default": {"weight": 0}}', ['default.weight: must be at least 0.001']],
    ['{"default": {"weight": 1e9}}', ['default.weight: must be at most 1000']],
    ['{"default": {"weight": "3"}}', ['default.weight: must be a number']],
    ['{"default": {"weight": null}}', ['default.weight: must be a number']],
    ['{"default": {"maxQueued": -1}}', ['default.maxQueued: must be 0 or more']],
    ['{"default": {"maxQueued": 1.5}}', ['default.maxQueued: must be a whole number from 0']],
    ['{"default": {"maxRunning": "all"}}', ['default.maxRunning: must be a whole number from 0']],
    [
      '{"default": {"weight": 0}, "tenants": {"a": {"maxRunning": -1}}}',
      ['default.weight: must be', 'tenants.a.maxRunning: must be'],
    ],
  ])('says what to change in %s', (text, expected) => {
    expect(problemsOf(text)).toEqual(expected.map((part) => expect.stringContaining(part)));
  });
});
