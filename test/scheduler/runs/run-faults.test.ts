import { describe, expect, it } from 'vitest';
import { type NodeErrors, type PromptReply, parsePromptReply } from '../../../src/comfyui/prompt-reply.ts';
import type { Inventory } from '../../../src/domain/capabilities.ts';
import type { Graph } from '../../../src/domain/graph.ts';
import {
  cleanLine,
  faultOfEnd,
  faultOfError,
  faultOfNodeErrors,
  faultOfRejection,
} from '../../../src/scheduler/runs/run-faults.ts';
import { allRecordings } from '../../comfyui/recordings.ts';

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

  const texts: readonly [string, string, string][] = [
    ['RuntimeError', 'CUDA error: an illegal memory access was encountered', 'GPU_FAULT'],
    ['torch.AcceleratorError', 'CUDA error: device-side assert triggered', 'GPU_FAULT'],
    ['RuntimeError', 'CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`', 'GPU_FAULT'],
    ['RuntimeError', 'cuDNN error: CUDNN_STATUS_INTERNAL_ERROR', 'GPU_FAULT'],
    ['RuntimeError', 'HIP error: invalid device function', 'GPU_FAULT'],
    ['RuntimeError', 'CUDA error: out of memory', 'OUT_OF_MEMORY'],
    ['RuntimeError', 'CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate', 'OUT_OF_MEMORY'],
    ['ValueError', 'the CUDA backend needs a float', 'NODE_FAILED'],
    ['RuntimeError', 'Torch not compiled with CUDA enabled', 'NODE_FAILED'],
  ];
  it.each(texts)(
    'tell a lost graphics card from what a node did wrong: %s: %s (F18)',
    (exceptionType, message, code) => {
      expect(faultOfError({ nodeId: '7', nodeType: null, exceptionType, message }, GRAPH).code).toBe(code);
    },
  );

  it('know a full disk of the instance by its errors (F24)', () => {
    for (const message of [
      "[Errno 28] No space left on device: '/srv/comfyui/output/gw/x_00001_.png'",
      'write failed: ENOSPC',
      '[WinError 112] There is not enough space on the disk',
      '[Errno 122] Disk quota exceeded',
    ]) {
      const fault = faultOfError({ nodeId: '7', nodeType: null, exceptionType: 'OSError', message }, GRAPH);
      expect(fault, message).toMatchObject({ code: 'INSTANCE_DISK_FULL', retryable: true });
      expect(fault.message).toBe('the disk of the instance is full');
    }
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
    expect(cleanLine('cannot read ~/.cache/huggingface/token')).toBe('cannot read token');
    expect(cleanLine("'C:\\Program Files\\ComfyUI\\models\\my model.safetensors' is broken")).toBe(
      "'my model.safetensors' is broken",
    );
    expect(cleanLine('no such folder /srv/comfyui/models/')).toBe('no such folder models');
  });

  it('never hand out a traceback', () => {
    const text =
      'Traceback (most recent call last):\n  File "/srv/nodes.py", line 3, in run\n    x()\nValueError: bad size\n';
    expect(cleanLine(text)).toBe('ValueError: bad size');
  });

  it('say something of every recorded refusal', () => {
    let seen = 0;
    for (const { http } of allRecordings()) {
      for (const call of http) {
        if (call.method !== 'POST' || !call.path.endsWith('/prompt') || call.status !== 400) continue;
        const reply = parsePromptReply(400, JSON.stringify(call.response_body));
        if (reply.kind !== 'rejected') throw new Error('a 400 is a refusal');
        const noModels = { nodeTypes: [], models: [], inputs: { lists: [], offers: {}, texts: [] } };
        const fault = faultOfRejection(reply, noModels);
        const isMissingNode = /^Cannot execute because node \w+ does not exist/.test(reply.error.message);
        expect(fault).toMatchObject(
          isMissingNode
            ? { code: 'NOT_EQUIPPED', retryable: true }
            : { code: 'PROMPT_REJECTED', retryable: false },
        );
        expect(fault.message.length).toBeGreaterThan(5);
        expect(fault.message).not.toContain('\n');
        seen++;
      }
    }
    expect(seen).toBeGreaterThan(10);
  });

  describe('of a value that is in no list', () => {
    const inventory = {
      nodeTypes: ['LoraLoader', 'KSampler'],
      models: [],
      inputs: { lists: [['a.pt']], offers: { 'Custom.first': 0 }, texts: [] },
    };
    const nodeErrors = (nodeType: string, inputName: string): NodeErrors[] => [
      { nodeId: '1', nodeType, dependentOutputs: [], errors: [error(inputName)] },
    ];
    const error = (inputName: string) => ({
      type: 'value_not_in_list',
      message: 'Value not in list',
      details: `${inputName}: 'x' not in []`,
      inputName,
    });
    const code = (nodeType: string, inputName: string, known: Inventory | null): string => {
      const reply = {
        kind: 'rejected',
        status: 400,
        error: error(''),
        nodeErrors: nodeErrors(nodeType, inputName),
      };
      const rejection = faultOfRejection(reply as Extract<PromptReply, { kind: 'rejected' }>, known).code;
      const part = faultOfNodeErrors(reply.nodeErrors, known).code;
      expect(part === 'NOT_EQUIPPED').toBe(rejection === 'NOT_EQUIPPED');
      return rejection;
    };

    it('blame lists that are out of date when it is one of models, whatever its input is called', () => {
      expect(code('Custom', 'first', inventory)).toBe('NOT_EQUIPPED');
      expect(code('LoraLoader', 'lora_name', null)).toBe('NOT_EQUIPPED');
    });

    it('blame the job when it is another one', () => {
      expect(code('KSampler', 'sampler_name', inventory)).toBe('PROMPT_REJECTED');
      expect(code('KSampler', 'sampler_name', null)).toBe('PROMPT_REJECTED');
    });
  });
});
