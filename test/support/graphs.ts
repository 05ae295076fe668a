/** Small graphs in ComfyUI's API format for tests. `salt` tells graphs apart that would come from the node cache otherwise. */
import type { JsonObject } from '../../src/lib/json.ts';

interface SleepOptions {
  readonly seconds: number;
  readonly steps?: number;
  readonly salt?: number;
  readonly preview?: 'none' | 'JPEG' | 'PNG';
}

/** Sleeps in steps, then saves a grey picture. */
export function sleepGraph({ seconds, steps = 5, salt = 0, preview = 'none' }: SleepOptions): JsonObject {
  return {
    '1': { class_type: 'RigSleep', inputs: { seconds, steps, preview, salt } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'slept' } },
  };
}

/** `count` noisy pictures of 64 by 64 pixels, handed to the node. */
export function noiseInto(class_type: string, inputs: JsonObject, count = 1): JsonObject {
  return {
    '1': { class_type: 'RigNoise', inputs: { width: 64, height: 64, batch: count, salt: 7 } },
    '2': { class_type, inputs: { images: ['1', 0], ...inputs } },
  };
}
