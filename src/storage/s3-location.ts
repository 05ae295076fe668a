/**
 * Reads STORAGE_URL=s3://bucket/prefix?endpoint=http://host:9000&region=us-east-1&path-style=true. Credentials are not part
 * of it: they come from where the SDK looks for them (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, a role).
 */

export interface S3Location {
  readonly bucket: string;
  /** In front of every key: empty, or ends with a slash. */
  readonly prefix: string;
  /** Undefined: Amazon's own. */
  readonly endpoint: string | undefined;
  /** Undefined: what the SDK finds (AWS_REGION). */
  readonly region: string | undefined;
  /** The bucket stands in the path, not in the host name: what most servers but Amazon's want. */
  readonly pathStyle: boolean;
  /** Makes the bucket at the start when there is none. */
  readonly createBucket: boolean;
}

const KNOWN = new Set(['endpoint', 'region', 'path-style', 'create-bucket']);

/** @throws when it cannot be understood; the message repeats nothing that could be a secret. */
export function parseS3Url(url: URL): S3Location {
  if (url.username !== '' || url.password !== '') {
    throw refusal('holds credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead');
  }
  const bucket = url.hostname;
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket))
    throw refusal('names no bucket: s3://bucket/prefix');
  const unknown = [...url.searchParams.keys()].filter((name) => !KNOWN.has(name));
  if (unknown.length > 0) throw refusal(`knows ${[...KNOWN].join(', ')}, not ${unknown.join(', ')}`);
  const path = decodeURIComponent(url.pathname).split('/').filter(Boolean).join('/');
  const endpoint = endpointOf(url.searchParams.get('endpoint'));
  return {
    bucket,
    prefix: path === '' ? '' : `${path}/`,
    endpoint,
    // a server of one's own has none, but requests are signed with one
    region: url.searchParams.get('region') ?? (endpoint === undefined ? undefined : 'us-east-1'),
    pathStyle: flagOf(url, 'path-style', endpoint !== undefined),
    createBucket: flagOf(url, 'create-bucket', false),
  };
}

function endpointOf(text: string | null): string | undefined {
  if (text === null) return undefined;
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw refusal('has an endpoint that is no http:// or https:// URL');
  }
  const { username, password } = new URL(text);
  if (username !== '' || password !== '') throw refusal('has an endpoint with credentials');
  return text;
}

function flagOf(url: URL, name: string, otherwise: boolean): boolean {
  const text = url.searchParams.get(name);
  if (text === null) return otherwise;
  if (text !== 'true' && text !== 'false') throw refusal(`has a ${name} that is neither true nor false`);
  return text === 'true';
}

function refusal(problem: string): Error {
  return new Error(`STORAGE_URL ${problem}`);
}
