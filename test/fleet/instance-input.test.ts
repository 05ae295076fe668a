import { describe, expect, it } from 'vitest';
import { readInstanceInput } from '../../src/fleet/instance-input.ts';

const read = (input: { url: string; name?: string | null; capacity?: number | null }) =>
  readInstanceInput({ name: null, capacity: null, ...input }, { capacity: 3 });

function issuesOf(input: Parameters<typeof read>[0]): string[] {
  const answer = read(input);
  return answer.ok ? [] : answer.issues.map(({ path, message }) => `${path.join('.')} ${message}`);
}

describe('an instance that somebody wants to add', () => {
  it('has an address without its login, a name and a number of places', () => {
    const answer = read({ url: ' http://user:secret@GPU.example:80/comfy/ ', name: ' left one ' });
    expect(answer).toMatchObject({
      ok: true,
      instance: { url: 'http://gpu.example/comfy', name: 'left one', capacity: 3 },
    });
    expect(JSON.stringify(answer)).not.toContain('secret');
    expect(read({ url: 'http://gpu.example:8188/a', capacity: 64 })).toMatchObject({
      instance: { name: 'gpu.example:8188/a', capacity: 64 },
    });
  });

  it.each([
    'http://127.0.0.1:8188',
    'http://localhost:8188',
    'http://10.1.2.3:8188',
    'http://192.168.0.4',
    'http://100.64.0.9:8188',
    'https://8.8.8.8',
    'http://[::1]:8188',
    'http://[fd12:3456::7]:8188',
    'http://[2001:4860:4860::8888]',
    'http://gpu-1.internal:8188',
  ])('may be at %s', (url) => {
    expect(issuesOf({ url })).toEqual([]);
  });

  it.each([
    'http://169.254.169.254',
    'http://169.254.169.254./latest',
    'http://2852039166',
    'http://0xa9fea9fe',
    'http://0251.0376.0251.0376',
    'http://169.16689662',
    'http://[::ffff:169.254.169.254]',
    'http://[::ffff:a9fe:a9fe]',
    'http://[::169.254.169.254]',
    'http://[64:ff9b::169.254.169.254]',
    'http://[2002:a9fe:a9fe::]',
    'http://[fe80::1]',
    'http://[fd00:ec2::254]',
    'http://100.100.100.200',
    'http://192.0.0.192',
    'http://metadata.google.internal',
    'http://METADATA.google.internal.',
    'http://0.0.0.0:8188',
    'http://[::]:8188',
    'http://224.0.0.1',
    'http://255.255.255.255',
  ])('is not at %s', (url) => {
    expect(issuesOf({ url })).toEqual([expect.stringMatching(/^url must not be/)]);
  });

  it.each([
    '',
    'gpu:8188',
    'ftp://gpu',
    'file:///etc/passwd',
    'http://',
    'http://gpu/?a=b',
    'http://gpu/#c',
    `http://gpu/${'a'.repeat(2100)}`,
  ])('has no address in %j', (url) => {
    expect(issuesOf({ url })).toEqual([expect.stringMatching(/^url /)]);
  });

  it('says everything that is wrong, and nothing of the address', () => {
    const issues = issuesOf({ url: 'ftp://user:secret@gpu', name: 'a\nb', capacity: 65 });
    expect(issues.map((issue) => issue.split(' ')[0])).toEqual(['url', 'name', 'capacity']);
    expect(issues.join()).not.toContain('secret');
    expect(issuesOf({ url: 'http://gpu', name: '  ' })).toHaveLength(1);
    expect(issuesOf({ url: 'http://gpu', name: 'x'.repeat(101) })).toHaveLength(1);
    expect(issuesOf({ url: 'http://gpu', capacity: 0 })).toHaveLength(1);
  });
});
