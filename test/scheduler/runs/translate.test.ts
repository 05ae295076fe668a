import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBinaryFrame } from '../../../src/comfyui/binary-frame.ts';
import type { ComfyMessage } from '../../../src/comfyui/messages.ts';
import { parseTextMessage } from '../../../src/comfyui/text-message.ts';
import type { Graph } from '../../../src/domain/graph.ts';
import type { Progress } from '../../../src/domain/job.ts';
import { type RunNews, type RunView, startView, translate } from '../../../src/scheduler/runs/translate.ts';
import { allRecordings, frameBytes, frameText } from '../../comfyui/recordings.ts';

const ID = 'p';
const GRAPH: Graph = {
  '1': { class_type: 'CheckpointLoaderSimple', inputs: {} },
  '2': { class_type: 'KSampler', inputs: {} },
  '3': { class_type: 'SaveImageWebsocket', inputs: {} },
  '4': { class_type: 'SaveImage', inputs: {} },
};

function run(messages: readonly ComfyMessage[], stepMs = 100): { view: RunView; news: RunNews[] } {
  let view = startView(GRAPH);
  const news: RunNews[] = [];
  messages.forEach((message, index) => {
    const result = translate(view, message, index * stepMs);
    view = result.view;
    news.push(...result.news);
  });
  return { view, news };
}

function progressIn(news: readonly RunNews[]): Progress[] {
  return news.flatMap((piece) =>
    piece.type === 'live' && piece.event.type === 'progress' ? [piece.event.progress] : [],
  );
}

const executing = (node: string | null): ComfyMessage => ({
  kind: 'executing',
  promptId: ID,
  node,
  displayNode: node,
});
const step = (value: number, max = 20, node = '2'): ComfyMessage => ({
  kind: 'progress',
  promptId: ID,
  node,
  value,
  max,
});

const node = fc.constantFrom('1', '2', '3', '4', '2.0.0.1', 'unheard of');
const anyMessage: fc.Arbitrary<ComfyMessage> = fc.oneof(
  fc.record({
    kind: fc.constant('progress' as const),
    promptId: fc.constant(ID),
    node: fc.option(node),
    value: fc.integer({ min: -2, max: 30 }),
    max: fc.integer({ min: -1, max: 20 }),
  }),
  fc.option(node).map(executing),
  fc.array(node).map((nodes) => ({ kind: 'executionCached' as const, promptId: ID, nodes })),
  fc
    .array(
      fc.record({
        nodeId: node,
        displayNodeId: node,
        realNodeId: node,
        state: fc.constantFrom('running', 'finished', 'odd'),
        value: fc.double({ noNaN: false }),
        max: fc.double({ noNaN: false }),
      }),
    )
    .map((nodes) => ({ kind: 'progressState' as const, promptId: ID, nodes })),
  node.map((id) => ({
    kind: 'executed' as const,
    promptId: ID,
    node: id,
    displayNode: id,
    output: { text: ['x'] },
  })),
  fc.constantFrom<ComfyMessage>(
    { kind: 'executionSuccess', promptId: ID },
    { kind: 'malformed', reason: 'x' },
    { kind: 'status', queueRemaining: 1, sid: null },
  ),
);

describe('translating a run', () => {
  it('never lets progress fall or leave 0 to 1, whatever arrives in whatever order', () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { maxLength: 40 }), (messages) => {
        const fractions = progressIn(run(messages).news).map((one) => one.fraction);
        expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
        for (const fraction of fractions) {
          expect(fraction).toBeGreaterThanOrEqual(0);
          expect(fraction).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('tells each step once, though two messages carry it', () => {
    const twice = Array.from({ length: 20 }, (_, index): ComfyMessage[] => [
      {
        kind: 'progressState',
        promptId: ID,
        nodes: [
          {
            nodeId: '2',
            displayNodeId: '2',
            realNodeId: '2',
            state: 'running',
            value: index + 1,
            max: 20,
          },
        ],
      },
      step(index + 1),
    ]).flat();
    const { news } = run([executing('2'), ...twice]);
    const steps = progressIn(news).flatMap((one) => one.step ?? []);
    expect(steps).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  });

  it('knows the remaining time from step 2 on, by the pace since the first step', () => {
    const { news } = run([executing('2'), step(1), step(2), step(3)]);
    const remaining = progressIn(news)
      .filter((one) => one.step !== null)
      .map((one) => one.remainingMs);
    expect(remaining).toEqual([null, 1800, 1700]);
  });

  it('counts cached nodes as done and tells which', () => {
    const { view, news } = run([{ kind: 'executionCached', promptId: ID, nodes: ['1', '2', 'gone'] }]);
    expect(news[0]).toEqual({ type: 'live', event: { type: 'cached', nodes: ['1', '2'] } });
    expect(view.fraction).toBe(0.5);
  });

  it('shows nodes made at run time as the node that made them', () => {
    const { news } = run([
      { kind: 'executing', promptId: ID, node: '2.0.0.1', displayNode: '2' },
      step(1, 2, '2.0.0.1'),
    ]);
    expect(progressIn(news).map((one) => one.node)).toEqual(['2', '2']);
  });

  it('takes a picture for a preview or for a result by the node it is of', () => {
    const picture = (nodeId: string | null): ComfyMessage => ({
      kind: 'preview',
      promptId: nodeId === null ? null : ID,
      nodeId,
      displayNodeId: nodeId,
      mimeType: 'image/png',
      image: new Uint8Array(1),
      metadata: nodeId !== null,
    });
    expect(run([executing('2'), picture('2')]).news.at(-1)?.type).toBe('picture');
    expect(run([executing('3'), picture('3')]).news.at(-1)).toMatchObject({ type: 'result', node: '3' });
    expect(run([executing('4'), picture(null)]).news.at(-1)).toMatchObject({ type: 'result', node: '4' });
    const old = translate(startView(GRAPH), picture(null), 0, { previewsHaveMetadata: false });
    expect(old.news.map((piece) => piece.type)).toEqual(['picture']);
  });

  it('passes on what it does not know, but no flood of data', () => {
    const unknown = (data: string): ComfyMessage => ({
      kind: 'unknown',
      type: 'my.node',
      promptId: ID,
      data,
    });
    const { news } = run([unknown('small'), unknown('x'.repeat(20_000))]);
    expect(news).toEqual([
      { type: 'live', event: { type: 'comfy', messageType: 'my.node', data: 'small' } },
      { type: 'live', event: { type: 'comfy', messageType: 'my.node', data: null } },
    ]);
  });

  it('shows steps and times that any client can read, whatever a node counts (F10)', () => {
    const odd = [0.5, 1.5, 2 ** 31, 1e300, 5e-324, Number.MAX_VALUE, 3];
    for (const max of odd) {
      const { news } = run([
        executing('2'),
        ...odd.map((value) => step(value, max)),
        ...odd.map((value) => step(value, max)),
      ]);
      for (const { step: at, totalSteps, remainingMs } of progressIn(news)) {
        for (const number of [at, totalSteps]) expect((number ?? 0) | 0).toBe(number ?? 0);
        expect(Number.isFinite(remainingMs ?? 0)).toBe(true);
      }
    }
  });

  it('takes no output from nodes that nobody submitted (F10)', () => {
    const executed = (node: string): ComfyMessage => ({
      kind: 'executed',
      promptId: ID,
      node,
      displayNode: node,
      output: { text: ['a'] },
    });
    const { news } = run([executed('unheard of'), executed('__proto__'), executed('4')]);
    expect(news.filter(({ type }) => type === 'output')).toMatchObject([{ node: '4', shown: '4' }]);
  });

  it('does not take a blocked output for the end', () => {
    const error = (exceptionType: string): ComfyMessage => ({
      kind: 'executionError',
      promptId: ID,
      nodeId: '4',
      nodeType: 'SaveImage',
      exceptionType,
      exceptionMessage: 'why',
      executed: [],
    });
    expect(run([error('ExecutionBlocked')]).news).toMatchObject([{ type: 'blocked' }]);
    expect(run([error('ValueError')]).news).toEqual([{ type: 'over', succeeded: false }]);
  });

  it('follows every recorded run without a fall', () => {
    let followed = 0;
    for (const recording of allRecordings()) {
      const views = new Map<string, { view: RunView; fractions: number[]; ended: boolean }>();
      for (const frame of recording.ws) {
        const text = frame.type === 'text' ? frameText(frame) : null;
        const message =
          text !== null
            ? parseTextMessage(text)
            : frame.type === 'binary' && frame.length !== undefined
              ? parseBinaryFrame(frameBytes(frame))
              : null;
        const promptId = message && 'promptId' in message ? message.promptId : null;
        if (!message || promptId === null) continue;
        const key = `${frame.client}/${promptId}`;
        const known = views.get(key) ?? { view: startView(GRAPH), fractions: [], ended: false };
        const { view, news } = translate(known.view, message, followed);
        known.fractions.push(...progressIn(news).map((one) => one.fraction));
        views.set(key, {
          view,
          fractions: known.fractions,
          ended: known.ended || news.some((piece) => piece.type === 'ended'),
        });
      }
      for (const { fractions, ended } of views.values()) {
        expect(fractions, recording.name).toEqual([...fractions].sort((a, b) => a - b));
        if (ended) followed++;
      }
    }
    expect(followed).toBeGreaterThan(50);
  });
});
