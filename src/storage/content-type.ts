/**
 * Which media type a stored file is served as. The gateway decides: the bytes first, the name only for formats without a
 * signature, and nothing a browser could run is ever shown inline on our origin.
 */
import mime from 'mime';

export interface ServedType {
  readonly mimeType: string;
  /** May be shown in the page; otherwise it is sent as an attachment. */
  readonly inline: boolean;
}

const UNKNOWN: ServedType = { mimeType: 'application/octet-stream', inline: false };

const INLINE = new Set([
  'image/png',
  'image/apng',
  'image/jpeg',
  'image/webp',
  'image/gif',
  'image/avif',
  'video/mp4',
  'video/webm',
  'video/quicktime',
  'audio/mpeg',
  'audio/wav',
  'audio/flac',
  'audio/ogg',
  'audio/mp4',
  'text/plain',
  'application/json',
]);

/** Names vary between sniffers and tables; players know these. */
const SAME_AS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'audio/vnd.wave': 'audio/wav',
    'audio/x-wav': 'audio/wav',
    'audio/x-flac': 'audio/flac',
    'audio/x-m4a': 'audio/mp4',
    'video/x-m4v': 'video/mp4',
  }),
);

/** Formats without a signature, whose name is the only thing that tells them apart; all harmless as an attachment. */
const BY_NAME =
  /^(text\/(plain|csv|markdown|vtt)|application\/(json|x-subrip|yaml)|image\/svg\+xml|model\/.+)$/;

/** A signature that says too little: the name may say more. */
const VAGUE = new Set(['application/xml', 'text/xml']);

/** `sniffed` is what the bytes say (sniffType), null for nothing; `filename` is what ComfyUI called the file. */
export function safeContentType(sniffed: string | null, filename: string | null): ServedType {
  const mimeType = sniffed && !VAGUE.has(sniffed) ? essence(sniffed) : byName(filename);
  if (mimeType === null || mayRun(mimeType)) return UNKNOWN;
  return { mimeType, inline: INLINE.has(mimeType) };
}

function essence(type: string): string {
  const bare = type.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  return SAME_AS.get(bare) ?? bare;
}

function byName(filename: string | null): string | null {
  const type = filename === null ? null : mime.getType(filename);
  return type !== null && BY_NAME.test(type) ? type : null;
}

/** SVG keeps its type, since an <img> needs it and runs no script in it; it is never inline. */
function mayRun(type: string): boolean {
  return (
    /html|script|xslt|flash|java/.test(type) ||
    (type.includes('xml') && type !== 'image/svg+xml' && !type.includes('openxml'))
  );
}
