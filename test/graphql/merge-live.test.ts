import { describe, expect, it } from 'vitest';
import type { Job } from '../../src/domain/job.ts';
import { NOTHING_LIVE } from '../../src/graphql/job-view.ts';
import {
  isSame,
  refreshed,
  type Snapshot,
  withLatest,
  withLive,
} from '../../src/graphql/streams/merge-live.ts';
import { previewOf, progressOf } from '../events/messages.ts';

const job = (patch: Partial<Job> = {}): Job =>
  ({ id: 'a', status: 'PROCESSING', attemptCount: 1, seq: 2, updatedAt: 5, ...patch }) as Job;
const progress = (fraction: number, seq = 2) =>
  ({ seq, change: { type: 'progress', progress: progressOf(fraction) } }) as const;
const preview = (revision: number, seq = 2) =>
  ({ seq, change: { type: 'preview', preview: previewOf(revision) } }) as const;
/** What a subscriber knows after all of that. */
const told = (first: Snapshot, ...news: Parameters<typeof withLive>[1][]): Snapshot =>
  news.reduce<Snapshot>((view, one) => withLive(view, one) ?? view, first);

describe('live news of a job', () => {
  it('never falls, neither by a late message nor by what the bus has kept', () => {
    const view = told(refreshed(null, job()), progress(0.5), preview(7));
    expect(withLive(view, progress(0.4))).toBeNull();
    expect(withLive(view, preview(6))).toBeNull();
    expect(withLive(view, preview(7))).toBeNull();
    const kept = { progress: progressOf(0.3), preview: previewOf(3), seq: 2 };
    expect(withLatest(view, kept)).toBe(view);
    const newer = withLatest(view, { ...kept, progress: progressOf(0.8) });
    expect(newer.live).toMatchObject({ progress: { fraction: 0.8 }, preview: { revision: 7 } });
  });

  it('of an attempt that is over shows nowhere in the next one', () => {
    const first = told(refreshed(null, job()), progress(0.9), preview(1));
    const waiting = refreshed(first, job({ status: 'PENDING', seq: 3 }));
    expect(waiting.live).toEqual(NOTHING_LIVE);
    const second = refreshed(waiting, job({ attemptCount: 2, seq: 4 }));
    expect(withLive(second, progress(0.95, 2))).toBeNull();
    expect(withLatest(second, { progress: progressOf(0.9), preview: previewOf(1), seq: 2 })).toBe(second);
    expect(withLive(second, progress(0.1, 4))?.live.progress?.fraction).toBe(0.1);
  });

  it('that was said before an output reaches who came after it', () => {
    const view = refreshed(null, job({ seq: 5 }));
    expect(
      withLatest(view, { progress: progressOf(0.4), preview: null, seq: 4 }).live.progress?.fraction,
    ).toBe(0.4);
    expect(withLive(view, progress(0.4, 4))?.live.progress?.fraction).toBe(0.4);
  });

  it('shows of no job that does not run', () => {
    for (const status of ['PENDING', 'COMPLETED', 'FAILED', 'CANCELED'] as const) {
      const view = refreshed(null, job({ status }));
      expect(withLive(view, progress(0.5))).toBeNull();
      expect(withLatest(view, { progress: progressOf(0.5), preview: previewOf(1), seq: 9 })).toBe(view);
    }
  });

  it('tells what was sent already from what is new', () => {
    const view = told(refreshed(null, job()), progress(0.5));
    expect(isSame(view, withLatest(refreshed(view, job()), NOTHING_LIVE))).toBe(true);
    expect(isSame(view, refreshed(view, job({ seq: 3 })))).toBe(false);
    expect(isSame(view, refreshed(view, job({ updatedAt: 6 })))).toBe(false);
    expect(isSame(view, told(view, progress(0.6)))).toBe(false);
  });
});
