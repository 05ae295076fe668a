/**
 * Brings a fresh server into the state in which the recording found its own: the rig ran many scenarios on one process,
 * so prompt numbers and file counters do not begin at the beginning, and some results were cached. Done by HTTP alone.
 */
import { call, callAgent } from './http-call.ts';
import type { Pace } from './pace.ts';
import {
  isRecord,
  loadRecording,
  parseLoose,
  type RecordedRequest,
  type Recording,
  stringifyLoose,
} from './recording.ts';

export interface UploadedFile {
  readonly name: string;
  readonly type: 'input' | 'output' | 'temp';
  readonly subfolder?: string;
  readonly bytes?: Buffer;
}

export interface Preparation {
  readonly files?: readonly UploadedFile[];
  /** Recordings whose first prompt is run beforehand, to fill the node cache. */
  readonly warmUp?: readonly string[];
}

export async function prepare(
  base: string,
  recording: Recording,
  pace: Pace,
  preparation: Preparation,
): Promise<void> {
  const agent = callAgent();
  const post = async (
    path: string,
    body: string | Buffer,
    headers: Record<string, string> = {},
  ): Promise<Buffer> => {
    const answer = await call(agent, base, { method: 'POST', path, body, headers });
    if (answer.kind !== 'answer')
      throw new Error(`preparing ${recording.scenario}: POST ${path}: ${answer.kind}`);
    return answer.body;
  };
  try {
    const warmUps = preparation.warmUp ?? [];
    for (const file of [...counterFiles(recording, warmUps.length), ...(preparation.files ?? [])]) {
      const { body, headers } = uploadOf(file);
      await post('/upload/image', body, headers);
    }
    for (const name of warmUps) {
      const prompt = await post('/prompt', warmUpBody(name));
      await runToEnd(prompt);
    }
    for (let number = warmUps.length; number < firstNumber(recording); number++) await post('/prompt', '{}');
  } finally {
    agent.destroy();
  }

  async function runToEnd(reply: Buffer): Promise<void> {
    const accepted = parseLoose(reply.toString('utf8'));
    const id = isRecord(accepted) ? String(accepted.prompt_id) : '';
    let ended = false;
    const ask = async (): Promise<void> => {
      const answer = await call(agent, base, { method: 'GET', path: `/history/${id}` });
      ended = answer.kind === 'answer' && answer.body.includes(id);
    };
    while (!ended) {
      await pace.pass(1000);
      await ask();
    }
  }
}

/** Refused prompts use numbers up too, so the counter is moved by empty posts. */
function firstNumber(recording: Recording): number {
  let refused = 0;
  for (const request of recording.http) {
    if (request.method !== 'POST' || request.path !== '/prompt') continue;
    const reply = request.response_body;
    if (isRecord(reply) && typeof reply.number === 'number' && Number.isFinite(reply.number))
      return reply.number - refused;
    refused += 1;
  }
  return 0;
}

/** A saved file takes the number after the highest one in its folder, so one file per prefix sets the counter; warm-ups move it on. */
function counterFiles(recording: Recording, warmUps: number): UploadedFile[] {
  const lowest = new Map<string, { folder: string; prefix: string; number: number }>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (isRecord(value)) {
      if (typeof value.filename === 'string' && value.type === 'output')
        note(value.filename, String(value.subfolder ?? ''));
      Object.values(value).forEach(visit);
    }
  };
  const note = (filename: string, folder: string): void => {
    const match = /^(.*)_(\d{5})_\.\w+$/.exec(filename);
    if (!match) return;
    const [, prefix = '', digits = ''] = match;
    const key = `${folder}/${prefix}`;
    const number = Number(digits);
    if (number < (lowest.get(key)?.number ?? Number.POSITIVE_INFINITY))
      lowest.set(key, { folder, prefix, number });
  };
  visit([recording.ws, recording.http]);
  return [...lowest.values()]
    .filter(({ number }) => number - warmUps > 1)
    .map(({ folder, prefix, number }) => ({
      name: `${prefix}_${String(number - warmUps - 1).padStart(5, '0')}_.png`,
      type: 'output' as const,
      subfolder: folder,
    }));
}

function warmUpBody(name: string): string {
  const first = loadRecording(name).http.find((request: RecordedRequest) => request.path === '/prompt');
  if (!first || !isRecord(first.request_body)) throw new Error(`${name} has no prompt to warm up with`);
  return stringifyLoose({ prompt: first.request_body.prompt });
}

function uploadOf(file: UploadedFile): { body: Buffer; headers: Record<string, string> } {
  const boundary = 'fidelity-preparation';
  const field = (name: string, value: string): string =>
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const opening = `--${boundary}\r\nContent-Disposition: form-data; name="image"; filename="${file.name}"\r\nContent-Type: application/octet-stream\r\n\r\n`;
  const body = Buffer.concat([
    Buffer.from(field('type', file.type) + field('subfolder', file.subfolder ?? '') + opening),
    file.bytes ?? Buffer.alloc(0),
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);
  return { body, headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}` } };
}
