/** Is this IP address one of the public internet? Pictures are fetched from nowhere else, or a client could read our network. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** False for private, loopback, link-local, shared, multicast and reserved ranges, and for IPv6 that wraps an IPv4 address. */
export function isPublicAddress(address: string): boolean {
  // Stricter than ipaddr.js, which also reads `1.2.3`.
  if (isIP(address) === 0) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  // Of IPv6 only 2000::/3 is handed out; the rest holds translations (NAT64, IPv4-compatible) that the ranges may not know.
  return parsed.kind() === 'ipv4' || (parsed.toByteArray()[0] ?? 0) >> 5 === 1;
}
