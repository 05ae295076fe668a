/** What keeps the figures in the process that leads: facts are folded, gauges sampled, and what is old goes. */
import { type Service, together } from '../lib/service.ts';
import { createExpiry, type ExpiryOptions } from './expiry.ts';
import { createFolder, type FolderOptions } from './folder.ts';
import { createGauges } from './gauges.ts';

export function keepFigures(options: FolderOptions & ExpiryOptions): Service {
  return together([createFolder(options), createGauges(options), createExpiry(options)]);
}
