import { describe, expect, it } from 'vitest';
import type { HttpFailureReason } from '../../src/comfyui/http-failure.ts';
import { parsePromptReply, promptReplyOfFailure } from '../../src/comfyui/prompt-reply.ts';
import { allRecordings } from './recordings.ts';

const posts = allRecordings()
  .flatMap(({ http }) => http)
  .filter((call) => call.method === 'POST' && call.path === '/prompt')
  .map(({ status, response_body: body }) => ({
    status: status ?? 0,
    body,
    reply: parsePromptReply(status ?? 0, typeof body === 'string' ? body : JSON.stringify(body)),
  }));
const repliesWith = (status: number) =>
  posts.filter((post) => post.status === status).map((post) => post.reply);

describe('parsePromptReply on the recordings', () => {
  it('reads every 200 as accepted, with the node errors of a part that was dropped', () => {
    const kinds = repliesWith(200).map((reply) => reply.kind);
    expect(new Set(kinds)).toEqual(new Set(['accepted', 'acceptedWithNodeErrors']));
    expect(kinds.filter((kind) => kind === 'accepted').length).toBeGreaterThan(100);
  });

  it('reads every 400 as the fault of the graph', () => {
    const replies = repliesWith(400);
    expect(replies.length).toBeGreaterThan(15);
    for (const reply of replies) {
      expect(reply).toMatchObject({ kind: 'rejected', status: 400 });
      if (reply.kind === 'rejected') expect(reply.error.type).not.toBe('unknown');
    }
  });

  it('names node, input and reason of a missing model', () => {
    expect(repliesWith(400)).toContainEqual(
      expect.objectContaining({
        nodeErrors: [
          {
            nodeId: '4',
            nodeType: 'CheckpointLoaderSimple',
            dependentOutputs: ['9'],
            errors: [
              {
                type: 'value_not_in_list',
                message: 'Value not in list',
                details: "ckpt_name: 'missing.safetensors' not in ['random_sd15.safetensors']",
                inputName: 'ckpt_name',
              },
            ],
          },
        ],
      }),
    );
  });

  it('reads a prompt that is too large as rejected, with the plain text as message', () => {
    expect(repliesWith(413)).toEqual([
      {
        kind: 'rejected',
        status: 413,
        error: {
          type: 'unknown',
          message: 'Maximum request body size 1048576 exceeded.',
          details: '',
          inputName: null,
        },
        nodeErrors: [],
      },
    ]);
  });

  it('does not take a 500 for "not queued", because the server may answer so with the prompt in its queue', () => {
    expect(new Set(repliesWith(500).map((reply) => reply.kind))).toEqual(new Set(['ambiguous']));
  });

  it('takes a 403 for a refusal that says nothing about the graph', () => {
    expect(repliesWith(403)).toEqual([expect.objectContaining({ kind: 'refused' })]);
  });
});

describe('parsePromptReply', () => {
  it.each(['', 'null', '[]', '<html>', '{"number": 3}'])('calls a 200 with the body %j ambiguous', (body) => {
    expect(parsePromptReply(200, body).kind).toBe('ambiguous');
  });

  it.each([
    [401, 'refused'],
    [404, 'refused'],
    [429, 'refused'],
    [408, 'ambiguous'],
    [502, 'ambiguous'],
    [504, 'ambiguous'],
  ])('takes status %i of a proxy for %s', (status, kind) => {
    expect(parsePromptReply(status, 'x').kind).toBe(kind);
  });

  it.each<[HttpFailureReason, string]>([
    ['refused', 'refused'],
    ['timeout', 'ambiguous'],
    ['reset', 'ambiguous'],
    ['malformed', 'ambiguous'],
    ['aborted', 'ambiguous'],
  ])('takes no answer because of %s for %s', (reason, kind) => {
    expect(promptReplyOfFailure({ ok: false, reason, message: '' }).kind).toBe(kind);
  });
});
