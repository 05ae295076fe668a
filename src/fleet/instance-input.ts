/** What may be added to the fleet at run time: an address that can be an instance's, a name, a number of places. Pure. */
import ipaddr from 'ipaddr.js';
import { type Address, nameOfAddress, parseAddress } from '../lib/address.ts';

/** Of an input object: `path` leads to the field. */
export interface InputIssue {
  readonly path: readonly string[];
  readonly message: string;
}

export interface InstanceInput {
  readonly url: string;
  readonly name: string | null;
  readonly capacity: number | null;
}

export interface NewInstance extends Address {
  readonly name: string;
  readonly capacity: number;
}

export type ReadInput =
  | { readonly ok: true; readonly instance: NewInstance }
  | { readonly ok: false; readonly issues: readonly InputIssue[] };

const MOST_PLACES = 64;
const LONGEST_NAME = 100;

/** `capacity`: of an instance that names none. Says everything that is wrong, and nothing of the URL's text. */
export function readInstanceInput(
  input: InstanceInput,
  { capacity: usual }: { capacity: number },
): ReadInput {
  const issues: InputIssue[] = [];
  const parsed = parseAddress(input.url.trim());
  const problem = parsed.ok ? problemOfHost(new URL(parsed.address.url).hostname) : parsed.problem;
  if (problem !== null) issues.push({ path: ['url'], message: problem });
  const given = input.name?.trim() ?? null;
  if (given !== null && !isName(given)) {
    const message = `must have 1 to ${LONGEST_NAME} characters, none of them a control character`;
    issues.push({ path: ['name'], message });
  }
  const capacity = input.capacity ?? usual;
  if (capacity < 1 || capacity > MOST_PLACES) {
    issues.push({ path: ['capacity'], message: `must be 1 to ${MOST_PLACES}` });
  }
  if (!parsed.ok || issues.length > 0) return { ok: false, issues };
  const { address } = parsed;
  return { ok: true, instance: { ...address, name: given ?? nameOfAddress(address), capacity } };
}

function isName(text: string): boolean {
  return text.length >= 1 && text.length <= LONGEST_NAME && !/\p{Cc}/u.test(text);
}

/** Where clouds tell a machine its secrets, beside the link-local ranges: no ComfyUI is there. */
const METADATA_HOSTS: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'instance-data',
]);
const METADATA_ADDRESSES: ReadonlySet<string> = new Set(['100.100.100.200', 'fd00:ec2::254']);
/** Neither link-local nor multicast, unspecified, reserved, or one that wraps another address. */
const HOST_RANGES: ReadonlySet<string> = new Set([
  'unicast',
  'private',
  'uniqueLocal',
  'carrierGradeNat',
  'loopback',
]);
const NOT_ALLOWED = 'must not be a link-local, metadata, multicast, unspecified or reserved address';

/** The URL parser has written decimal, octal and hexadecimal forms of IPv4 out as four numbers. */
function problemOfHost(hostname: string): string | null {
  const host = hostname.replace(/^\[|\]$|\.$/g, '').toLowerCase();
  if (METADATA_HOSTS.has(host)) return NOT_ALLOWED;
  if (!ipaddr.isValid(host)) return null;
  // an IPv4 address in IPv6 clothes counts as what it is
  const address = ipaddr.process(host);
  const isHost = HOST_RANGES.has(address.range()) && !METADATA_ADDRESSES.has(address.toString());
  return isHost && !isCompatible(address) ? null : NOT_ALLOWED;
}

/** `::a.b.c.d`, which no range knows; of IPv6 only 2000::/3 is handed out. */
function isCompatible(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  return (
    address.kind() === 'ipv6' && address.range() === 'unicast' && (address.toByteArray()[0] ?? 0) >> 5 !== 1
  );
}
