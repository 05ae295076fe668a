import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Address, Login, nameOfAddress, parseAddress } from '../../src/lib/address.ts';

function addressOf(text: string): Address {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.address;
}

const plain = (basic: string | undefined): string =>
  Buffer.from((basic ?? '').replace('Basic ', ''), 'base64').toString('utf8');

describe('parseAddress', () => {
  it.each([
    ['http://gpu1:8188', 'http://gpu1:8188'],
    ['http://gpu1:8188/', 'http://gpu1:8188'],
    ['HTTP://GPU1:80//', 'http://gpu1'],
    ['https://gpu1:443/comfy/a//', 'https://gpu1/comfy/a'],
    ['https://ann:secret@gpu1/comfy', 'https://gpu1/comfy'],
    ['http://[::1]:8188/x', 'http://[::1]:8188/x'],
  ])('reads %s as %s', (text, url) => {
    expect(addressOf(text).url).toBe(url);
  });

  it.each([
    ['http://gpu1', null],
    ['http://@gpu1', null],
    ['http://ann@gpu1', 'ann:'],
    ['http://:secret@gpu1', ':secret'],
    ['http://ann:a:b@gpu1', 'ann:a:b'],
    ['http://ann:p@ss@gpu1', 'ann:p@ss'],
    ['http://a%3An%40n:s%2F%3F%23%25%2C@gpu1', 'a:n@n:s/?#%,'],
    ['http://jürgen:пароль%20✓@gpu1', 'jürgen:пароль ✓'],
  ])('takes the login out of %s', (text, login) => {
    expect(addressOf(text).login && plain(addressOf(text).login?.basic())).toBe(login);
  });

  it.each([
    ['gpu1:8188', 'must be an http:// or https:// URL'],
    ['ftp://gpu1', 'must be an http:// or https:// URL'],
    ['', 'must be an http:// or https:// URL'],
    ['http://ann:se/cret@gpu1', 'must be an http:// or https:// URL'],
    ['http://ann:12/cret@gpu1', 'must have no @ after its host'],
    ['http://gpu1/?token=1', 'must end with its path'],
    ['http://gpu1/#', 'must end with its path'],
    ['http://ann:50%@gpu1', 'has a % in its user or password'],
    [`http://gpu1/${'x'.repeat(3000)}`, 'must have at most 2048 characters'],
  ])('says what is wrong with %s', (text, problem) => {
    expect(parseAddress(text)).toMatchObject({ ok: false, problem: expect.stringContaining(problem) });
  });

  it('hands any user and password on as they were', () => {
    // a colon in a user cannot be told from the one that ends it: RFC 7617 has none
    const user = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(':', ''));
    fc.assert(
      fc.property(user, fc.string({ unit: 'grapheme' }), (name, password) => {
        const text = `https://${encodeURIComponent(name)}:${encodeURIComponent(password)}@gpu1/x`;
        const { url, login } = addressOf(text);
        expect(url).toBe('https://gpu1/x');
        expect(plain(login?.basic())).toBe(name || password ? `${name}:${password}` : '');
        expect(login && new Login(login.reveal()).basic()).toBe(login?.basic() ?? null);
      }),
    );
  });

  it('shows nothing of a password, however badly it is written', () => {
    const part = fc.string({ unit: fc.constantFrom(...'@:/?#\\%,=[] \t\n1a&') });
    fc.assert(
      fc.property(part, part, part, (before, after, user) => {
        const parsed = parseAddress(`http://${user}:${before}CANARY${after}@gpu1/x`);
        const shown = parsed.ok
          ? [parsed.address.url, nameOfAddress(parsed.address), inspect(parsed), JSON.stringify(parsed)]
          : [parsed.problem];
        for (const text of shown) expect(text.toLowerCase()).not.toContain('canary');
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a login', () => {
  it('shows nothing of itself', () => {
    const login = new Login('ann:secret');
    for (const text of [`${login}`, JSON.stringify({ login }), inspect({ login }, { showHidden: true })]) {
      expect(text).not.toMatch(/ann|secret/);
    }
  });
});

describe('nameOfAddress', () => {
  it('tells instances behind one host apart', () => {
    expect(nameOfAddress({ url: 'https://gpus.example:8443/a/1' })).toBe('gpus.example:8443/a/1');
    expect(nameOfAddress({ url: 'http://gpu1:8188' })).toBe('gpu1:8188');
  });
});
