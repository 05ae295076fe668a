/** What a storage throws that is away, wherever it lies: callers tell clients to come again, and let jobs wait. */

/** It refused, broke off, did not answer in time or gave other bytes; it may do better later. */
export class StorageUnavailable extends Error {
  override readonly name = 'StorageUnavailable';
  /** As of a system error, which is what callers take it for. */
  readonly code = 'STORAGE_UNAVAILABLE';
}
