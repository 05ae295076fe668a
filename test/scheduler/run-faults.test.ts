import { describe, expect, it } from 'vitest';
import { parsePromptReply } from '../../src/comfyui/prompt-reply.ts';
import type { Graph } from '../../src/domain/graph.ts';
import { cleanLine, faultOfEnd, faultOfError, faultOfRejection } from '../../src/scheduler/run-faults.ts';
import { allRecordings } from '../comfyui/recordings.ts';

const GRAPH: Graph = { '7': { class_type: 'KSampler', inputs: {} } };

describe('faults of a run', () => {
  it('name the node, its type from the graph when the message lacks it, and the first line only', () => {
    const end = {
      kind: 'failed',
      nodeId: '7',
      nodeType: null,
      exceptionType: 'ValueError',
      message: 'bad size\n  File "x.py", line 3',
    } as const;
    expect(faultOfEnd(end, GRAPH)).toMatchObject({
      code: 'NODE_FAILED',
      nodeId: '7',
      nodeType: 'KSampler',
      message: 'bad size',
    });
  });

  it('know out of memory in all its words', () => {
    for (const message of [
      'CUDA out of memory. Tried to allocate 2.00 GiB',
      'Allocation on device 0 would exceed allowed memory. (out of memory)',
      'Allocation on device',
      'MPS backend out of memory',
      'DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes',
    ]) {
      const error = { nodeId: '7', nodeType: 'KSampler', exceptionType: 'RuntimeError', message };
      expect(faultOfError(error, GRAPH).code, message).toBe('OUT_OF_MEMORY');
    }
    const byType = { nodeId: '7', nodeType: null, exceptionType: 'torch.OutOfMemoryError', message: '' };
    expect(faultOfError(byType, GRAPH).code).toBe('OUT_OF_MEMORY');
  });

  it('tell an interrupt and a blocked output from errors', () => {
    expect(faultOfEnd({ kind: 'interrupted' }, GRAPH)?.code).toBe('INTERRUPTED');
    const blocked = { nodeId: '7', nodeType: null, exceptionType: 'ExecutionBlocked', message: 'no' };
    expect(faultOfError(blocked, GRAPH)).toMatchObject({ code: 'OUTPUT_BLOCKED', message: 'no' });
    expect(faultOfEnd({ kind: 'succeeded' }, GRAPH)).toBeNull();
  });

  it('never hand out a path of the instance', () => {
    expect(cleanLine("No such file: '/home/me/ComfyUI/models/x.safetensors'")).toBe(
      "No such file: 'x.safetensors'",
    );
    expect(cleanLine('C:\\Users\\me\\ComfyUI\\input\\a.png is broken')).toBe('a.png is broken');
    expect(cleanLine('ratio 1/2 and 16/9')).toBe('ratio 1/2 and 16/9');
  });

  it('say something of every recorded refusal', () => {
    let seen = 0;
    for (const { http } of allRecordings()) {
      for (const call of http) {
        if (call.method !== 'POST' || !call.path.endsWith('/prompt') || call.status !== 400) continue;
        const reply = parsePromptReply(400, JSON.stringify(call.response_body));
        if (reply.kind !== 'rejected') throw new Error('a 400 is a refusal');
        const fault = faultOfRejection(reply);
        expect(fault).toMatchObject({ code: 'PROMPT_REJECTED', retryable: false });
        expect(fault.message.length).toBeGreaterThan(5);
        expect(fault.message).not.toContain('\n');
        seen++;
      }
    }
    expect(seen).toBeGreaterThan(10);
  });
});
