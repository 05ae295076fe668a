import { describe, expect, it } from 'vitest';
import { ConfigError, parseConfig } from '../src/config.ts';

describe('parseConfig', () => {
  it('needs nothing: every knob has a default', () => {
    const config = parseConfig({});
    expect(config).toMatchObject({
      port: 4000,
      role: 'all',
      jobTimeoutMs: 300_000,
      maxJobsPerInstance: 1,
      maxConcurrentJobs: null,
    });
    expect(config.comfyuiInstances).toEqual([]);
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('names instances by host and port unless they are named', () => {
    const config = parseConfig({
      COMFYUI_INSTANCES: 'http://gpu1:8188/, big=https://gpu2/comfy',
      MAX_JOBS_PER_INSTANCE: '2',
    });
    expect(config.comfyuiInstances).toEqual([
      { name: 'gpu1:8188', url: 'http://gpu1:8188', login: null, capacity: 2 },
      { name: 'big', url: 'https://gpu2/comfy', login: null, capacity: 2 },
    ]);
  });

  it('refuses two instances of one name, which nobody could tell apart', () => {
    expect(messageOf({ COMFYUI_INSTANCES: 'a=http://gpu1,a=http://gpu2' })).toContain('two are called a');
    expect(messageOf({ COMFYUI_INSTANCES: 'http://gpu1,https://gpu1' })).toContain('two are called gpu1');
  });

  it('treats an empty variable as unset', () => {
    expect(parseConfig({ PORT: '', MAX_CONCURRENT_JOBS: '' })).toMatchObject({
      port: 4000,
      maxConcurrentJobs: null,
    });
  });

  it('reports every problem at once, each with its variable', () => {
    const env = {
      PORT: '99999',
      LOG_LEVEL: 'loud',
      COMFYUI_INSTANCES: 'gpu1:8188,http://a,http://a',
      PROBE_INTERVAL_MS: '0',
      ROLE: 'worker',
    };
    const message = messageOf(env);
    for (const part of [
      'PORT',
      'LOG_LEVEL',
      'entry 1 must be an http:// or https:// URL',
      'http://a is named twice',
      'PROBE_INTERVAL_MS',
      'ROLE',
    ])
      expect(message).toContain(part);
  });

  it.each(['api', 'scheduler'])('says what the role %s lacks, each with its variable', (role) => {
    const message = messageOf({ ROLE: role, DATABASE_URL: 'sqlite:///x' });
    for (const name of ['DATABASE_URL', 'REDIS_URL', 'STORAGE_URL']) {
      expect(message).toContain(`${name}: the role "${role}" needs`);
    }
    const shared = {
      DATABASE_URL: 'postgres://db/fleet',
      REDIS_URL: 'redis://cache',
      STORAGE_URL: 'file:///mnt/fleet',
    };
    expect(parseConfig({ ROLE: role, ...shared }).role).toBe(role);
  });

  it.each([
    ['true', true],
    ['false', false],
    ['2', 2],
    ['10.0.0.0/8, loopback', ['10.0.0.0/8', 'loopback']],
  ])('trusts proxies as told: %s', (text, expected) => {
    expect(parseConfig({ TRUST_PROXY: text }).trustProxy).toEqual(expected);
  });

  it.each(['nobody', '10.0.0.0/99', '-1', '10.0.0.0/8 loopback'])('does not take %s for a proxy', (text) => {
    expect(messageOf({ TRUST_PROXY: text })).toContain('TRUST_PROXY: must be true, false, a number of hops');
  });

  it('tells instances behind one host apart by their prefix', () => {
    const { comfyuiInstances } = parseConfig({ COMFYUI_INSTANCES: 'http://gpus/a,http://gpus/b/' });
    expect(comfyuiInstances.map(({ name }) => name)).toEqual(['gpus/a', 'gpus/b']);
  });

  it('counts an address with two logins as one instance named twice', () => {
    expect(messageOf({ COMFYUI_INSTANCES: 'http://a:1@gpu1,http://b:2@gpu1/' })).toContain(
      'http://gpu1 is named twice',
    );
  });

  it.each([
    'ftp://user:secret@gpu1',
    'http://user:pass,secret@gpu1',
    'http://user:pass,secret=secret@gpu1',
    'http://user:pa/secret@gpu1',
    'http://user:12/secret@gpu1',
    'http://secret:50%@gpu1',
    'http://a:secret@gpu1,http://b:secret@gpu1',
  ])('keeps credentials out of the message about %s', (instances) => {
    expect(messageOf({ COMFYUI_INSTANCES: instances })).not.toContain('secret');
  });
});

function messageOf(env: Record<string, string>): string {
  try {
    parseConfig(env);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('the configuration was accepted');
}
