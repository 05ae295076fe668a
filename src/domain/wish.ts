/** What a person may ask of an instance; the process that leads carries it out. */

/**
 * `adopt`: its row is new, or says something else now (draining): act on it. `remove`: its row says that it left the fleet.
 * `probe`: ask it how it is. `free`: tell it to unload its models and free its memory.
 */
export const WISH_KINDS = ['adopt', 'remove', 'probe', 'free'] as const;
export type WishKind = (typeof WISH_KINDS)[number];

export interface Wish {
  readonly id: string;
  readonly instanceId: string;
  readonly kind: WishKind;
  /** Epoch ms. */
  readonly askedAt: number;
}
