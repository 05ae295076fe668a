/** Who is asking. Every query on user data takes one; until access control arrives there is one default of each. */
export interface Viewer {
  readonly tenant: string;
  /** The user within the tenant; null when users are not known. */
  readonly user: string | null;
}

export const DEFAULT_TENANT = 'default';

export const defaultViewer: Viewer = { tenant: DEFAULT_TENANT, user: null };
