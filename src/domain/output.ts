/** What a job produced. Rows are provisional while the attempt runs and fixed by the transaction that completes the job. */
export type OutputKind = 'image' | 'file' | 'text';

export interface Output {
  readonly id: string;
  readonly jobId: string;
  readonly attemptId: string;
  readonly tenant: string;
  /** Node id in the submitted graph. */
  readonly node: string;
  /** Order within the attempt. */
  readonly ordinal: number;
  readonly kind: OutputKind;
  readonly mimeType: string;
  /** Display name, as ComfyUI named the file; null for text. */
  readonly filename: string | null;
  /** Content hash and storage key; null for text. */
  readonly sha256: string | null;
  readonly bytes: number | null;
  readonly width: number | null;
  readonly height: number | null;
  /** Only for text outputs. */
  readonly text: string | null;
  /** From ComfyUI's temp folder (PreviewImage), not saved there for good. */
  readonly temporary: boolean;
  readonly createdAt: number;
}

export interface StoredUpload {
  readonly id: string;
  readonly tenant: string;
  readonly user: string | null;
  /** What the client called it: display text only. */
  readonly filename: string | null;
  readonly mimeType: string;
  readonly width: number;
  readonly height: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly createdAt: number;
}
