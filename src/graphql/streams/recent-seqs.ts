/** The newest event number sent of each of the jobs sent last; bounded, the one sent longest ago is forgotten first. */
const MOST = 1000;

export class RecentSeqs {
  readonly #seqs = new Map<string, number>();

  add(jobId: string, seq: number): void {
    this.#seqs.delete(jobId);
    this.#seqs.set(jobId, seq);
    if (this.#seqs.size <= MOST) return;
    const oldest = this.#seqs.keys().next();
    if (!oldest.done) this.#seqs.delete(oldest.value);
  }

  /** The job as it was at this number, or later, was sent. */
  has(jobId: string, seq: number): boolean {
    return (this.#seqs.get(jobId) ?? -1) >= seq;
  }
}
