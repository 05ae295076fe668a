import { describe, expect, it } from 'vitest';
import {
  hintsTopic,
  instancesTopic,
  jobsTopic,
  jobTopic,
  queueTopic,
  topicsOf,
} from '../../src/events/topics.ts';
import { durable, hint } from './messages.ts';

describe('topicsOf', () => {
  it('sends a job message to its job and to the jobs of its tenant', () => {
    expect(topicsOf(durable('a', 1))).toEqual([jobTopic('a'), jobsTopic('acme')]);
  });

  it('sends everything else to the one topic of its kind', () => {
    expect(topicsOf({ kind: 'instance', instanceId: 'x', at: 1 })).toEqual([instancesTopic]);
    expect(topicsOf({ kind: 'queue', at: 1 })).toEqual([queueTopic]);
    expect(topicsOf(hint('job-queued', 'a'))).toEqual([hintsTopic]);
  });

  it('never gives a job and a tenant, or anything else, the same topic', () => {
    const topics = [jobTopic('x'), jobsTopic('x'), instancesTopic, queueTopic, hintsTopic];
    expect(new Set(topics).size).toBe(topics.length);
  });
});
