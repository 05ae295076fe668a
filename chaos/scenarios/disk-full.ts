/**
 * A gateway whose disk, with its database and its files, is really full: jobs run, are submitted, canceled and uploaded
 * to all the while. Nothing acknowledged is lost, nothing runs twice, and all completes once there is room. (F35)
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { globalId } from '../../src/graphql/global-id.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import { TestClient } from '../../test/support/graphql-client.ts';
import { aftermath, bareId, countOf, startAll, tally, untilIdle } from '../load.ts';
import { type GatewayProgram, withGround } from '../processes.ts';
import { randomFrom, type Scenario, type ScenarioSetting } from '../scenario.ts';
import { SmallDisk } from '../small-disk.ts';

const DISK_MB = 64;
const ROUNDS = 3;
const JOBS_BEFORE = 12;
const FULL_MS = 6000;

const SUBMIT = `mutation ($input: SubmitJobInput!) { submitJob(input: $input) { ... on SubmitJobSuccess { job { id } } } }`;
const CANCEL = `mutation ($id: ID!) { cancelJob(input: { id: $id }) { __typename } }`;
const UPLOAD = `mutation ($file: Upload!) { uploadImage(input: { file: $file }) {
  ... on UploadImageSuccess { image { sha256 url } } } }`;
const HEALTH = '{ health { checks { name ok message } } }';

export const diskFull: Scenario = (setting) =>
  withGround(async (ground) => {
    const simulators = await Promise.all([
      ground.simulator('gpu0', { nodeMs: 20 }),
      ground.simulator('gpu1', { nodeMs: 20 }),
    ]);
    await startAll(simulators);
    const gateway = await ground.gateway(simulators, { DATABASE_SYNCHRONOUS: 'FULL' });
    const disk = SmallDisk.mount(gateway.dataDir, DISK_MB);
    try {
      await gateway.start();
      const round = new Rounds(gateway, disk, setting);
      for (let n = 1; n <= ROUNDS; n++) await round.run(n);
      const files = await round.uploadsLeft();
      await round.close();
      const after = await aftermath(gateway, simulators, { acknowledged: round.acknowledged });
      return round.findings(after, files, simulators.flatMap((one) => one.evidence().executions).length);
    } finally {
      await gateway.end();
      disk.end();
    }
  });

interface UploadImage {
  readonly uploadImage: { readonly image?: { readonly sha256: string; readonly url: string } };
}

class Rounds {
  readonly acknowledged: string[] = [];
  readonly #gateway: GatewayProgram;
  readonly #disk: SmallDisk;
  readonly #say: (line: string) => void;
  readonly #random: () => number;
  readonly #client: TestClient;
  readonly #uploads: { readonly sha256: string; readonly url: string }[] = [];
  /** What was answered while the disk was full. */
  readonly #answers: string[] = [];
  #salt = 0;
  #notOk = 0;
  readonly #waited: number[] = [];

  constructor(gateway: GatewayProgram, disk: SmallDisk, { seed, say }: ScenarioSetting) {
    this.#gateway = gateway;
    this.#disk = disk;
    this.#say = say;
    this.#random = randomFrom(seed);
    this.#client = new TestClient(gateway.url);
  }

  async run(number: number): Promise<void> {
    for (let n = 0; n < JOBS_BEFORE; n++) await this.#submit(false);
    await this.#upload(false);
    this.#disk.fill();
    this.#say(`round ${number}: ${this.#disk.freeBytes} bytes free, ${JOBS_BEFORE} jobs under way`);
    const until = performance.now() + FULL_MS;
    while (performance.now() < until) {
      await this.#submit(true);
      await this.#upload(true);
      if (this.#random() < 0.3) await this.#cancelOne();
      this.#disk.fill();
      await this.#lookAtHealth();
      await sleep(100 + this.#random() * 200);
    }
    this.#disk.free();
    const since = performance.now();
    await untilIdle(this.#client, { withinMs: 90_000, say: this.#say });
    this.#waited.push(performance.now() - since);
    this.#say(`round ${number}: all ended ${Math.round(performance.now() - since)} ms after there was room`);
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  /** Uploads that were acknowledged and come back as they were sent. */
  async uploadsLeft(): Promise<string> {
    let whole = 0;
    for (const { sha256, url } of this.#uploads) {
      const response = await fetch(url);
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (response.ok && createHash('sha256').update(bytes).digest('hex') === sha256) whole++;
    }
    return `${whole} of ${this.#uploads.length}`;
  }

  findings(
    { jobs, attempts, violations }: Awaited<ReturnType<typeof aftermath>>,
    uploads: string,
    executions: number,
  ) {
    const finding = (what: string, target: string, measured: string, met: boolean) => ({
      row: 'F35',
      what,
      target,
      measured,
      met,
    });
    const of = (status: string): number => jobs.filter((job) => job.status === status).length;
    const again = attempts.filter((attempt) => attempt.number > 1).length;
    const torn = tornFiles(this.#gateway.dataDir);
    const [whole, all] = uploads.split(' of ');
    const refused = this.#answers.filter((answer) => answer.endsWith('STORAGE_UNAVAILABLE')).length;
    const untyped = this.#answers.filter((answer) => !/acknowledged|STORAGE_UNAVAILABLE/.test(answer)).length;
    const waited = this.#gateway.log().split('outputs wait on their instance').length - 1;
    this.#say(`answers while full: ${tally(this.#answers)}`);
    const ended = of('COMPLETED') + of('CANCELED');
    return [
      finding(
        'acknowledged jobs that are lost or failed',
        '0',
        `${this.acknowledged.length - ended}`,
        ended === this.acknowledged.length && jobs.length === ended,
      ),
      finding(
        'jobs that ran again',
        '0',
        `${again} of ${jobs.length} (${executions} executions)`,
        again === 0 && executions <= jobs.length,
      ),
      finding(
        'requests refused with another error than STORAGE_UNAVAILABLE',
        '0',
        `${untyped}, ${refused} with it`,
        untyped === 0 && refused > 0,
      ),
      finding('runs whose results waited for room', 'some', String(waited), waited > 0),
      finding('acknowledged uploads that are whole', 'all', uploads, whole === all),
      finding('short or half-written files', '0', String(torn), torn === 0),
      finding('health says that storage is not ok', 'while full', `${this.#notOk} times`, this.#notOk > 0),
      finding(
        'all ends after there is room',
        'within 60 s',
        `${Math.round(Math.max(...this.#waited))} ms`,
        Math.max(...this.#waited) < 60_000,
      ),
      finding('broken promises I1-I8', '0', countOf(violations), violations.length === 0),
    ];
  }

  async #submit(full: boolean): Promise<void> {
    const input = { graph: noise(++this.#salt) };
    const { data, errors } = await this.#client.ask<{ submitJob: { job?: { id: string } } }>(SUBMIT, {
      input,
    });
    const id = data?.submitJob.job?.id;
    if (id) this.acknowledged.push(bareId(id));
    this.#note(full, 'submit', id !== undefined, errors);
  }

  async #upload(full: boolean): Promise<void> {
    const background = { r: this.#salt % 256, g: Math.floor(this.#random() * 256), b: 9 };
    const bytes = await sharp({ create: { width: 200, height: 200, channels: 3, background } })
      .png()
      .toBuffer();
    const sent = { bytes: new Uint8Array(bytes) };
    const { data, errors } = await this.#client.upload<UploadImage>(UPLOAD, sent);
    const image = data?.uploadImage.image;
    if (image) this.#uploads.push(image);
    this.#note(full, 'upload', image !== undefined, errors);
  }

  /** The newest: it waits or runs, as a rule. */
  async #cancelOne(): Promise<void> {
    const id = this.acknowledged.at(-1);
    if (!id) return;
    const { data, errors } = await this.#client.ask<{ cancelJob: { __typename: string } }>(CANCEL, {
      id: globalId('Job', id),
    });
    this.#note(true, `cancel: ${data?.cancelJob.__typename ?? 'refused'}`, Boolean(data), errors);
  }

  #note(
    full: boolean,
    what: string,
    done: boolean,
    errors: readonly { extensions?: Readonly<Record<string, unknown>> }[],
  ): void {
    const code = done ? 'acknowledged' : String(errors[0]?.extensions?.code ?? 'no code');
    if (full) this.#answers.push(`${what} ${code}`);
    else if (!done) throw new Error(`${what} before the disk was full: ${code}`);
  }

  async #lookAtHealth(): Promise<void> {
    const { health } = await this.#client.run<{ health: { checks: { name: string; ok: boolean }[] } }>(
      HEALTH,
    );
    if (health.checks.some(({ name, ok }) => name === 'storage' && !ok)) this.#notOk++;
  }
}

/** A picture of about 800 kB. */
function noise(salt: number): JsonObject {
  return {
    '1': { class_type: 'RigNoise', inputs: { width: 512, height: 512, batch: 1, salt } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'noise' } },
  };
}

/** Files under the names of other contents, and staging files. */
function tornFiles(dataDir: string): number {
  let torn = readdirSync(join(dataDir, 'files', 'staging')).length;
  const blobs = readdirSync(join(dataDir, 'files', 'blobs'), { recursive: true, withFileTypes: true });
  for (const entry of blobs) {
    if (!entry.isFile()) continue;
    const hash = createHash('sha256')
      .update(readFileSync(join(entry.parentPath, entry.name)))
      .digest('hex');
    if (hash !== entry.name) torn++;
  }
  return torn;
}
