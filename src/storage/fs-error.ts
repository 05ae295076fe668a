/** Reads the code of a system error, so that expected ones (absent, full, away) become values, or errors with a meaning. */
import { StorageUnavailable } from './storage-unavailable.ts';

/** `ENOENT` and the like; undefined for anything but a system error. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** The answer, or null when the file is not there. */
export async function orNullIfAbsent<T>(task: Promise<T>): Promise<T | null> {
  try {
    return await task;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

/** No room on the disk, or none for us. */
export function isDiskFull(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** What a disk that fails says, and a volume whose server is away; EROFS is what the system makes of one that failed. */
const AWAY = new Set([
  ...['EIO', 'EREMOTEIO', 'EROFS', 'ENODEV', 'ENXIO', 'ENOMEDIUM'],
  ...['ESTALE', 'ENOTCONN', 'ESHUTDOWN', 'ENOLINK', 'ETIMEDOUT', 'EHOSTDOWN', 'EHOSTUNREACH'],
  ...['ENETDOWN', 'ENETUNREACH', 'ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED'],
]);

/** The same; throws StorageUnavailable when the disk or volume is away. Only for what no client takes part in. */
export async function orUnavailable<T>(task: Promise<T>): Promise<T> {
  try {
    return await task;
  } catch (error) {
    const code = errorCode(error);
    if (code === undefined || !AWAY.has(code)) throw error;
    throw new StorageUnavailable(`the volume failed: ${code}`);
  }
}
