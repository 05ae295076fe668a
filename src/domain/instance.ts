/** A ComfyUI process as the fleet knows it: what the row holds. Health is written by the leader only. */
export const INSTANCE_HEALTHS = ['HEALTHY', 'DEGRADED', 'UNHEALTHY', 'UNKNOWN'] as const;
export type InstanceHealth = (typeof INSTANCE_HEALTHS)[number];
export const BREAKER_STATES = ['CLOSED', 'OPEN', 'HALF_OPEN'] as const;
export type BreakerState = (typeof BREAKER_STATES)[number];

export interface Instance {
  readonly id: string;
  readonly name: string;
  /** Base URL without a login or a trailing slash. */
  readonly url: string;
  /** `config`: named in COMFYUI_INSTANCES, cannot be removed by mutation. */
  readonly origin: 'config' | 'added';
  /** Prompts it may run at once. */
  readonly capacity: number;
  readonly draining: boolean;
  readonly health: InstanceHealth;
  readonly breaker: BreakerState;
  /** When it last answered, epoch ms. */
  readonly lastSeenAt: number | null;
  readonly lastError: string | null;
  readonly responseMs: number | null;
  /** Since when it has been answering without a break, epoch ms. */
  readonly upSince: number | null;
  readonly queueRunning: number;
  readonly queuePending: number;
  /** Prompts in ComfyUI's queue that are not ours. */
  readonly foreignPrompts: number;
  readonly comfyuiVersion: string | null;
  readonly gpu: string | null;
  readonly vramTotalBytes: number | null;
  readonly vramFreeBytes: number | null;
  /** Model files it most likely has in memory, inferred from what it ran last. */
  readonly loadedModels: readonly string[];
  /** Names the inventory (node types, model files) read from it; null until read. */
  readonly inventoryKey: string | null;
  readonly removedAt: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}
