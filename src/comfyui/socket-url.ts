/** Where an instance's socket is. */

/** ws://host/ws?clientId=... for an http base URL, with its path kept in front. */
export function socketUrl(base: string, clientId: string): string {
  const url = new URL(base);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/ws`;
  url.search = `?${new URLSearchParams({ clientId }).toString()}`;
  url.hash = '';
  return url.href;
}
