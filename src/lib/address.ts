/**
 * Addresses of services behind a login, `https://user:password@host/prefix`: taken apart at the border, so that what is shown,
 * logged and compared is an address, and the login goes only where the connection is made.
 */

/** A user and a password. It shows nothing of itself: not as text, not as JSON, not when it is inspected. */
export class Login {
  readonly #userinfo: string;

  /** `user:password`, each percent-encoded as in a URL; either may be empty. */
  constructor(userinfo: string) {
    this.#userinfo = userinfo;
  }

  /** What the constructor was given: for the one place that keeps it. */
  reveal(): string {
    return this.#userinfo;
  }

  /** The value of an Authorization header; RFC 7617 in UTF-8. */
  basic(): string {
    const [user = '', ...password] = this.#userinfo.split(':');
    const plain = [user, password.join(':')].map(decodeURIComponent).join(':');
    return `Basic ${Buffer.from(plain).toString('base64')}`;
  }
}

export interface Address {
  /** http(s)://host:port/prefix: no login, no trailing slash, equal for equal addresses. */
  readonly url: string;
  readonly login: Login | null;
}

/** What is wrong says nothing of the text: whatever part of it was misread may be of a password. */
export type ParsedAddress =
  | { readonly ok: true; readonly address: Address }
  | { readonly ok: false; readonly problem: string };

const MAX_LENGTH = 2048;

/** Reads the base address of a service. */
export function parseAddress(text: string): ParsedAddress {
  if (text.length > MAX_LENGTH) return { ok: false, problem: `must have at most ${MAX_LENGTH} characters` };
  const parsed = URL.canParse(text) ? new URL(text) : null;
  if (!parsed || !/^https?:$/.test(parsed.protocol)) {
    return {
      ok: false,
      problem: `must be an http:// or https:// URL; in a user or password, ${ENCODING}`,
    };
  }
  const { origin, pathname, username, password, search, hash } = parsed;
  if (search || hash || /[?#]/.test(text)) {
    return { ok: false, problem: `must end with its path; in a user or password, ${ENCODING}` };
  }
  // a slash in a password ends the host: what follows up to the @ would be shown as a path
  if (pathname.includes('@')) {
    return { ok: false, problem: `must have no @ after its host; in a user or password, ${ENCODING}` };
  }
  if (!isDecodable(username) || !isDecodable(password)) {
    return { ok: false, problem: 'has a % in its user or password that is not written %25' };
  }
  const login = username || password ? new Login(`${username}:${password}`) : null;
  return { ok: true, address: { url: origin + pathname.replace(/\/+$/, ''), login } };
}

/** What to call a service that has no other name: its host, with the prefix that tells it from others there. */
export function nameOfAddress({ url }: Pick<Address, 'url'>): string {
  const { host, pathname } = new URL(url);
  return host + pathname.replace(/\/+$/, '');
}

const ENCODING = '/ is written %2F, ? %3F, # %23, @ %40, : %3A, % %25 and a comma %2C';

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
