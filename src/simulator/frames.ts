/** Binary frames: bytes 0-3 are the event type; 1 is an image, 3 a text, 4 an image with metadata (observed on 0.3.64). */
import type { Execution } from './execution.ts';
import type { Frame } from './node-class.ts';
import type { Sockets } from './sockets.ts';

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}

export function sendFrame(sockets: Sockets, to: string | null, { format, bytes }: Frame): void {
  sockets.sendBinary(1, [uint32(format === 'JPEG' ? 1 : 2), bytes], to);
}

export function sendFrameWithMetadata(
  sockets: Sockets,
  to: string | null,
  run: Execution,
  nodeId: string,
  frame: Frame,
): void {
  const metadata = {
    node_id: nodeId,
    prompt_id: run.item.promptId,
    display_node_id: run.graph.displayId(nodeId),
    parent_node_id: run.graph.parentId(nodeId),
    real_node_id: run.graph.realId(nodeId),
    image_type: frame.format === 'JPEG' ? 'image/jpeg' : 'image/png',
  };
  const text = Buffer.from(JSON.stringify(metadata));
  sockets.sendBinary(4, [uint32(text.length), text, frame.bytes], to);
}

export function sendText(sockets: Sockets, to: string | null, nodeId: string, text: string): void {
  const id = Buffer.from(nodeId);
  sockets.sendBinary(3, [uint32(id.length), id, Buffer.from(text)], to);
}
