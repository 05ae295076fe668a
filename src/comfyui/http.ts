/**
 * ComfyUI's HTTP routes as typed calls. Deadlines are given per call, in ms; what goes wrong is a value. Graphs go out
 * and are never read back. Nothing here touches prompts that are not named by id: no clear, no global interrupt.
 */
import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { assert } from '../lib/assert.ts';
import { isObject, type Json, type JsonObject } from '../lib/json.ts';
import { type HistoryEntry, parseHistoryReply } from './history.ts';
import type { HttpFailure } from './http-failure.ts';
import { discard, type HttpResult, type HttpTransport, statusFailure } from './http-transport.ts';
import { type MultipartFile, multipartBody } from './multipart.ts';
import { type ObjectInfo, parseNames, parseObjectInfo } from './object-info.ts';
import { COMFY_FOLDERS, type ComfyFile, type ComfyFolder } from './output-items.ts';
import { type PromptReply, parsePromptReply, promptReplyOfFailure } from './prompt-reply.ts';
import { parsePromptCount, parseQueue, type Queue } from './queue.ts';
import { parseSystemStats, type SystemStats } from './system-stats.ts';

/** How long a call may take, in ms, and the caller's signal to give it up. */
export interface CallOptions {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface PromptSubmission {
  /** The graph in API format. */
  readonly prompt: JsonObject;
  /** A canonical lowercase UUID, never posted before: ComfyUI does not look for repeats, and they can kill its worker. */
  readonly promptId: string;
  readonly clientId: string;
  /** Always an object: null kills ComfyUI's worker. */
  readonly extraData: JsonObject;
}

export interface FileUpload extends Omit<MultipartFile, 'field'> {
  readonly type: ComfyFolder;
  readonly subfolder?: string;
}

export interface ViewOptions extends CallOptions {
  /** Bytes from `start` to `end` inclusive; the end of the file when `end` is left out. */
  readonly range?: { readonly start: number; readonly end?: number };
  /** Longest silence within the file, in ms; default 15,000. */
  readonly idleMs?: number;
}

/** A file on its way; read `body` to its end or destroy it. A file cut short ends `body` with an error. */
export interface ViewedFile {
  readonly ok: true;
  /** 206 when a range was asked for and granted. */
  readonly status: 200 | 206;
  readonly contentType: string;
  readonly contentLength: number | null;
  readonly body: Readable;
}

/** What each kind of answer may weigh, in bytes; history and queue carry graphs with embedded pictures. */
const MAX_BYTES = {
  small: 64 * 1024,
  prompt: 8 * 1024 * 1024,
  objectInfo: 64 * 1024 * 1024,
  history: 128 * 1024 * 1024,
  queue: 256 * 1024 * 1024,
} as const;
const CANONICAL_UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export class ComfyHttp {
  readonly #transport: HttpTransport;

  constructor(transport: HttpTransport) {
    this.#transport = transport;
  }

  /** Queues a prompt. `number` and `front` are never sent: equal numbers and ids end ComfyUI's worker thread. */
  async postPrompt(submission: PromptSubmission, options: CallOptions): Promise<PromptReply> {
    assert(CANONICAL_UUID.test(submission.promptId), 'a prompt id is a canonical lowercase UUID');
    const body = {
      prompt: submission.prompt,
      prompt_id: submission.promptId,
      client_id: submission.clientId,
      extra_data: submission.extraData,
    };
    const answer = await this.#transport.request(post('/prompt', body, options), MAX_BYTES.prompt);
    return answer.ok ? parsePromptReply(answer.status, answer.body) : promptReplyOfFailure(answer);
  }

  /** Running and pending prompts. Ask before history: a prompt moves from here to there in one step. */
  async getQueue(options: CallOptions): Promise<HttpResult<Queue>> {
    return this.#read(get('/queue', options), MAX_BYTES.queue, parseQueue);
  }

  /** Running plus pending prompts, as a number: the cheap question. */
  async getPromptCount(options: CallOptions): Promise<HttpResult<number>> {
    return this.#read(get('/prompt', options), MAX_BYTES.small, parsePromptCount);
  }

  /** The record of an ended prompt; null while it is unknown, pending or running. */
  async getHistoryEntry(promptId: string, options: CallOptions): Promise<HttpResult<HistoryEntry | null>> {
    const call = get(`/history/${encodeURIComponent(promptId)}`, options);
    const answer = await this.#transport.json(call, MAX_BYTES.history);
    if (!answer.ok) return answer;
    const reply = parseHistoryReply(answer.value, promptId);
    if (reply.kind === 'malformed') return { ok: false, reason: 'malformed', message: reply.reason };
    return { ok: true, value: reply.kind === 'entry' ? reply.entry : null };
  }

  /** Removes records of ended prompts. */
  async deleteFromHistory(promptIds: readonly string[], options: CallOptions): Promise<HttpResult<null>> {
    return this.#command(post('/history', { delete: [...promptIds] }, options));
  }

  /** Removes pending prompts; ids that are not pending are ignored, and a running prompt is not touched. */
  async deleteFromQueue(promptIds: readonly string[], options: CallOptions): Promise<HttpResult<null>> {
    return this.#command(post('/queue', { delete: [...promptIds] }, options));
  }

  /** Asks the prompt to stop if it is the running one. May be lost; servers before 0.3.57 stop whatever runs. */
  async interrupt(promptId: string, options: CallOptions): Promise<HttpResult<null>> {
    assert(promptId !== '', 'an interrupt names its prompt');
    return this.#command(post('/interrupt', { prompt_id: promptId }, options));
  }

  /** Unloads models, and with `freeMemory` drops the node cache too; the worker does it between two prompts. */
  async free(
    what: { readonly unloadModels: boolean; readonly freeMemory: boolean },
    options: CallOptions,
  ): Promise<HttpResult<null>> {
    const body = { unload_models: what.unloadModels, free_memory: what.freeMemory };
    return this.#command(post('/free', body, options));
  }

  async getSystemStats(options: CallOptions): Promise<HttpResult<SystemStats>> {
    return this.#read(get('/system_stats', options), MAX_BYTES.prompt, parseSystemStats);
  }

  async getObjectInfo(options: CallOptions): Promise<HttpResult<ObjectInfo>> {
    return this.#read(get('/object_info', options), MAX_BYTES.objectInfo, parseObjectInfo);
  }

  /** Names of the embeddings, without ending. */
  async getEmbeddings(options: CallOptions): Promise<HttpResult<readonly string[]>> {
    return this.#read(get('/embeddings', options), MAX_BYTES.prompt, parseNames);
  }

  /** Whether nodes of the type make what a prompt is run for; false for one that the server does not have. */
  async isOutputNode(nodeType: string, options: CallOptions): Promise<HttpResult<boolean>> {
    const call = get(`/object_info/${encodeURIComponent(nodeType)}`, options);
    return this.#read(call, MAX_BYTES.objectInfo, (value) =>
      isObject(value) ? isObject(value[nodeType]) && value[nodeType].output_node === true : null,
    );
  }

  /** Stores a file without overwriting; use the answered name in the graph, the server may have chosen another. */
  async upload(file: FileUpload, options: CallOptions): Promise<HttpResult<ComfyFile>> {
    const fields = { type: file.type, ...(file.subfolder ? { subfolder: file.subfolder } : {}) };
    const { body, contentType, contentLength } = multipartBody(
      fields,
      { ...file, field: 'image' },
      `comfyfleet-${randomUUID()}`,
    );
    const headers = { 'content-type': contentType, 'content-length': String(contentLength) };
    try {
      return await this.#read(
        { method: 'POST', path: '/upload/image', headers, body, ...options },
        MAX_BYTES.small,
        parseUploadReply,
      );
    } finally {
      discard(body);
      discard(file.content);
    }
  }

  /** Streams a stored file. The deadline ends with the head of the answer; the signal and `idleMs` rule over the rest. */
  async view(file: ComfyFile, options: ViewOptions): Promise<ViewedFile | HttpFailure> {
    const { range, ...rest } = options;
    const headers = range ? { range: `bytes=${range.start}-${range.end ?? ''}` } : {};
    const query = { filename: file.filename, subfolder: file.subfolder, type: file.type };
    const answer = await this.#transport.open({ method: 'GET', path: '/view', query, headers, ...rest });
    if (!answer.ok) return answer;
    if (answer.status !== 200 && answer.status !== 206) {
      discard(answer.body);
      return statusFailure(answer.status);
    }
    const { 'content-type': contentType, 'content-length': contentLength } = answer.headers;
    return {
      ok: true,
      status: answer.status,
      contentType: typeof contentType === 'string' ? contentType : 'application/octet-stream',
      contentLength: typeof contentLength === 'string' ? Number(contentLength) : null,
      body: answer.body,
    };
  }

  async #read<T>(call: Call, maxBytes: number, parse: (value: Json) => T | null): Promise<HttpResult<T>> {
    const answer = await this.#transport.json(call, maxBytes);
    if (!answer.ok) return answer;
    const value = parse(answer.value);
    if (value === null)
      return { ok: false, reason: 'malformed', message: `unexpected shape of ${call.path}` };
    return { ok: true, value };
  }

  async #command(call: Call): Promise<HttpResult<null>> {
    const answer = await this.#transport.request(call, MAX_BYTES.small);
    if (!answer.ok) return answer;
    return answer.status === 200 ? { ok: true, value: null } : statusFailure(answer.status);
  }
}

type Call = Parameters<HttpTransport['request']>[0];

function get(path: string, options: CallOptions): Call {
  return { method: 'GET', path, ...options };
}

function post(path: string, body: JsonObject, options: CallOptions): Call {
  const headers = { 'content-type': 'application/json' };
  return { method: 'POST', path, headers, body: JSON.stringify(body), ...options };
}

function parseUploadReply(value: Json): ComfyFile | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const type = COMFY_FOLDERS.find((folder) => folder === value.type);
  if (typeof value.name !== 'string' || !type) return null;
  return {
    filename: value.name,
    subfolder: typeof value.subfolder === 'string' ? value.subfolder : '',
    type,
  };
}
