/** Opaque ids: the type's name and the row's id as URL-safe base64, so that `node(id)` and /files/{id} need no more than the id. */

/** Types whose ids lead back to an object through `node`. */
export const NODE_TYPES = [
  'Job',
  'Instance',
  'Workflow',
  'UploadedImage',
  'ImageOutput',
  'FileOutput',
  'TextOutput',
] as const;
export type NodeTypeName = (typeof NODE_TYPES)[number];

/** Parts of a job, the one queue and figures, which have an id of their own only so that client caches can merge them. */
export type PartTypeName =
  | 'JobProgress'
  | 'QueuePlace'
  | 'Preview'
  | 'Attempt'
  | 'QueueStatus'
  | 'FleetMetrics'
  | 'Quantiles'
  | 'InstanceMetrics'
  | 'WorkflowMetrics'
  | 'ErrorCount'
  | 'UsageRow';

export interface DecodedId {
  readonly type: string;
  readonly id: string;
}

/** The id a client sees. */
export function globalId(type: NodeTypeName | PartTypeName, id: string): string {
  return Buffer.from(`${type}:${id}`).toString('base64url');
}

/** What a client's id names; null when it is none of ours. */
export function decodeGlobalId(text: string): DecodedId | null {
  if (text.length > 1024 || !/^[\w-]+$/.test(text)) return null;
  const decoded = Buffer.from(text, 'base64url').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon < 1 || colon === decoded.length - 1) return null;
  return { type: decoded.slice(0, colon), id: decoded.slice(colon + 1) };
}

/** The row's id when the id is of one of the types, else null. */
export function rawId(text: string, ...types: readonly NodeTypeName[]): string | null {
  const decoded = decodeGlobalId(text);
  return decoded && types.some((type) => type === decoded.type) ? decoded.id : null;
}
