/** Node inputs as execution_error shows them: plain values as they are, pictures as the text of a tensor. */
import type { ImageBatch } from './node-class.ts';

export function formatInput(value: unknown): unknown {
  if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) return value;
  const batch = value as Partial<ImageBatch>;
  if (batch?.kind === 'image' && batch.pictures) return tensorText(batch as ImageBatch);
  return `<${typeof value}>`;
}

function tensorText({ pictures }: ImageBatch): string {
  const [first] = pictures;
  if (!first) return 'tensor([])';
  const pixel = (index: number): string => {
    const samples = [0, 1, 2].map((channel) =>
      ((first.data[index * first.channels + channel] ?? 0) / 255).toFixed(4),
    );
    return `[${samples.join(', ')}]`;
  };
  const rows = [0, 1, 2].map(
    (y) =>
      `[${[0, 1, 2].map((x) => pixel(Math.min(y, first.height - 1) * first.width + Math.min(x, first.width - 1))).join(',\n          ')},\n          ...]`,
  );
  return `tensor([[${rows.join(',\n\n         ')},\n\n         ...]])`;
}
