import { describe, expect, it } from 'vitest';
import { RunStory } from '../../../src/scheduler/runs/run-story.ts';

function posted({ busy = false, hears = true } = {}): RunStory {
  const story = new RunStory();
  story.posted(busy, hears);
  return story;
}

describe('what is known of a run', () => {
  it('may run at once where nothing else is, and waits where something is', () => {
    expect(posted().reached).toBe('maybe-running');
    expect(posted({ busy: true }).reached).toBe('waiting');
  });

  it('waits after all when others are seen before it', () => {
    const story = posted();
    story.queued(false, 1);
    expect(story.reached).toBe('waiting');
  });

  it('follows what is seen in the queue, and never falls behind what was certain', () => {
    const story = posted({ busy: true });
    story.queued(false, 1);
    expect(story.reached).toBe('waiting');
    story.queued(false, 0);
    expect(story.reached).toBe('maybe-running');
    story.queued(true, 0);
    expect(story.reached).toBe('running');
    story.queued(false, 0);
    expect(story.reached).toBe('running');
    story.ended();
    story.begun();
    expect(story.reached).toBe('over');
  });

  it('is told in full only by a socket that was open from the POST to the end (F12)', () => {
    const whole = posted();
    whole.over(true);
    // the instance dies afterwards
    whole.interrupted();
    expect(whole.succeededInFull).toBe(true);

    const late = posted({ hears: false });
    late.over(true);
    expect(late.succeededInFull).toBe(false);

    const broken = posted();
    broken.interrupted();
    broken.over(true);
    expect(broken.succeededInFull).toBe(false);

    const failed = posted();
    failed.over(false);
    expect(failed.succeededInFull).toBe(false);
  });
});
