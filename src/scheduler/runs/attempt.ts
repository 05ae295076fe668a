/**
 * An attempt as a pipeline: hand over the files, make the graph, post it under the attempt's own id, follow it to its
 * end, collect what it made. An adopted attempt begins at following. Each step answers what the next one needs, or
 * the outcome that ends the attempt.
 */
import { describeFailure, type HttpFailure } from '../../comfyui/http-failure.ts';
import type { NodeErrors, PromptReply } from '../../comfyui/prompt-reply.ts';
import { type Fault, fault } from '../../domain/fault.ts';
import { fileRefsOf } from '../../domain/file-refs.ts';
import type { FileRef, Graph } from '../../domain/graph.ts';
import { ownershipTag } from '../../fleet/ownership.ts';
import { present } from '../../lib/assert.ts';
import { pause } from '../../lib/clock.ts';
import type { JsonObject } from '../../lib/json.ts';
import { SPANS } from '../../tracing/spans.ts';
import { materialise } from '../../workflows/materialise.ts';
import { collect } from '../transfers/collect.ts';
import { type FileText, UPLOAD_PREFIX } from '../transfers/input-files.ts';
import { resultSender } from '../transfers/result-sender.ts';
import { salvage } from '../transfers/salvage.ts';
import type { ActiveRun } from './active-run.ts';
import { follow } from './follow.ts';
import { insist } from './insist.ts';
import { failed, INTERRUPTED, type Outcome } from './outcome.ts';
import { faultOfNodeErrors, faultOfRejection } from './run-faults.ts';

type Step<T> = { readonly go: T } | { readonly end: Outcome };

/** Never throws for what an instance does. */
export async function runAttempt(run: ActiveRun): Promise<Outcome> {
  if (!run.subject.adopted) {
    const files = await handOverFiles(run);
    if ('end' in files) return files.end;
    const graph = await makeGraph(run, files.go);
    if ('end' in graph) return graph.end;
    await becomeReadyToListen(run);
    if (run.interruption) return INTERRUPTED;
    const posted = await run.trace.step(SPANS.postPrompt, () => post(run, graph.go));
    if ('end' in posted) return posted.end;
  }
  const followed = await run.trace.step(SPANS.run, () => follow(run));
  if (followed.kind === 'ended') return run.trace.step(SPANS.collect, () => collect(run, followed.entry));
  return followed.kind === 'lost' ? salvage(run, followed) : followed;
}

/** Names on the instance by content hash. */
async function handOverFiles(run: ActiveRun): Promise<Step<ReadonlyMap<string, string>>> {
  const refs = fileRefsOf(run.subject.graph).filter((ref) => ref.as === 'name');
  if (refs.length === 0) return { go: new Map() };
  return run.trace.step(SPANS.uploadInputs, () => handOver(run, refs));
}

async function handOver(
  run: ActiveRun,
  refs: readonly FileRef[],
): Promise<Step<ReadonlyMap<string, string>>> {
  const { member, job } = run.subject;
  const names = new Map<string, string>();
  for (const ref of refs) {
    if (names.has(ref.sha256)) continue;
    const result = await unlessInterrupted(run, run.parts.inputFiles.handOver(member, job.tenant, ref));
    if (result === null) return { end: INTERRUPTED };
    if (result.kind === 'failed') return { end: notHandedOver(run, result.failure) };
    if (result.kind !== 'there') return { end: noFile(run, result) };
    names.set(ref.sha256, result.name);
    run.crashAt('input:handed-over');
  }
  return { go: names };
}

/**
 * Null once the run is interrupted: an upload that hangs holds up no cancel, no timeout and no stop. It goes on until its
 * own deadline, for other jobs that want the file.
 */
function unlessInterrupted<T>(run: ActiveRun, work: Promise<T>): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve(null);
    if (run.signal.aborted) onAbort();
    else run.signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => run.signal.removeEventListener('abort', onAbort));
  });
}

function noFile(run: ActiveRun, problem: Exclude<FileText, { kind: 'there' }>): Outcome {
  if (problem.kind === 'gone') return failed(fault('INPUT_UNAVAILABLE'));
  run.logger.warn({ reason: problem.reason }, 'an input file could not be read from storage');
  run.parts.storageWatch.failed();
  return failed(fault('STORAGE_UNAVAILABLE'));
}

function notHandedOver(run: ActiveRun, failure: HttpFailure): Outcome {
  if (failure.reason === 'refused') return unreachable(run, failure);
  run.logger.warn({ reason: failure.message }, 'an input file could not be handed to an instance');
  return failed(fault('UPLOAD_FAILED'));
}

/** Nothing was posted, so the job may go elsewhere at no charge. */
function unreachable(run: ActiveRun, failure: HttpFailure): Outcome {
  run.subject.member.noteFailure(describeFailure(failure));
  return { kind: 'lost', fault: fault('INSTANCE_LOST') };
}

async function makeGraph(run: ActiveRun, names: ReadonlyMap<string, string>): Promise<Step<Graph>> {
  const { graph, attempt, job } = run.subject;
  const problems: Exclude<FileText, { kind: 'there' }>[] = [];
  const base64 = async (ref: FileRef): Promise<string> => {
    const text = await run.parts.inputFiles.toText(job.tenant, ref);
    if (text.kind === 'there') return text.base64;
    problems.push(text);
    return '';
  };
  const fileName = (ref: FileRef): string => present(names.get(ref.sha256), 'the name of an uploaded file');
  const made = await unlessInterrupted(run, materialise(graph, { attemptId: attempt.id, fileName, base64 }));
  if (made === null) return { end: INTERRUPTED };
  const [problem] = problems;
  return problem ? { end: noFile(run, problem) } : { go: made };
}

const LISTEN_PATIENCE_MS = 500;
const LISTEN_PATIENCE_FOR_RESULTS_MS = 10_000;

/**
 * The socket comes before the POST, so that nothing is missed; without one the run is followed by asking. A result that
 * is sent over the socket is worth a longer wait.
 */
async function becomeReadyToListen(run: ActiveRun): Promise<void> {
  const { member, graph } = run.subject;
  const { clock, isBusy } = run.parts;
  if (!isBusy(member.id)) member.readyForPrompt();
  const needed = resultSender(graph) !== null;
  const giveUpAt = clock.monotonic() + (needed ? LISTEN_PATIENCE_FOR_RESULTS_MS : LISTEN_PATIENCE_MS);
  const wanting = (): boolean =>
    member.isDialing || (needed && member.usesSocket && !member.state().listening);
  while (wanting() && !run.interruption && clock.monotonic() < giveUpAt) {
    await pause(clock, 10, run.signal);
  }
}

const POST_DEADLINE_MS = 30_000;

/** Not ended by a cancel: what became of the POST must be known before the prompt can be taken back. */
async function post(run: ActiveRun, graph: Graph): Promise<Step<null>> {
  const { member, job, attempt, term } = run.subject;
  const { recorder, fleetId } = run.parts;
  const ticket = member.beginPrompt();
  run.beginPost(ticket);
  run.crashAt('post:ready');
  const replying = member.http.postPrompt(
    {
      prompt: graph as unknown as JsonObject,
      promptId: attempt.id,
      clientId: ticket.clientId,
      extraData: ownershipTag(fleetId, job.id, attempt.id),
    },
    { deadlineMs: POST_DEADLINE_MS, signal: run.partingSignal },
  );
  run.crashAt('post:sent');
  const reply = await replying;
  if (reply.kind === 'accepted') {
    run.crashAt('post:accepted');
    run.posted = 'accepted';
    run.takenWhole = true;
    member.expectStatus(run.postedAt);
    await insist(run, () => recorder.running(attempt.id, term));
    return { go: null };
  }
  return notAccepted(run, reply);
}

async function notAccepted(
  run: ActiveRun,
  reply: Exclude<PromptReply, { kind: 'accepted' }>,
): Promise<Step<null>> {
  switch (reply.kind) {
    case 'acceptedWithNodeErrors':
      return { end: await takeBack(run, reply.nodeErrors) };
    case 'rejected':
      run.posted = 'no';
      return { end: await rejected(run, reply) };
    case 'refused':
      run.posted = 'no';
      if (reply.failure.reason === 'refused') return { end: unreachable(run, reply.failure) };
      return { end: failed(fault('SUBMIT_FAILED', statusDetail(reply.failure))) };
    case 'ambiguous':
      // a server's own 500 is an answer; a gateway timeout of a proxy is not
      run.posted = isFinalAnswer(reply.failure) ? 'answered' : 'unanswered';
      run.lookSoon = true;
      run.logger.warn({ reason: reply.failure.message }, 'it is not known whether a prompt was queued');
      return { go: null };
  }
}

/** Only some outputs would run, which is not what was asked for. */
async function takeBack(run: ActiveRun, nodeErrors: readonly NodeErrors[]): Promise<Outcome> {
  run.posted = 'accepted';
  run.crashAt('post:partly-accepted');
  const { member } = run.subject;
  await member.cancel({
    promptId: run.promptId,
    withinMs: 10_000,
    signal: run.partingSignal,
    onEnded: (entry) => run.historyRead(entry),
  });
  return refusedBy(run, faultOfNodeErrors(nodeErrors, member.state().inventory));
}

async function rejected(run: ActiveRun, reply: Extract<PromptReply, { kind: 'rejected' }>): Promise<Outcome> {
  const lostFile = reply.nodeErrors.some((node) =>
    node.errors.some((error) => `${error.message} ${error.details}`.includes(UPLOAD_PREFIX)),
  );
  if (lostFile && fileRefsOf(run.subject.graph).length > 0) {
    // somebody emptied the instance's input folder: the next attempt uploads again
    run.parts.inputFiles.forget(run.subject.member.id);
    return failed(fault('UPLOAD_FAILED'));
  }
  return refusedBy(run, faultOfRejection(reply, run.subject.member.state().inventory));
}

/** Where the lists were wrong they are read anew first, so that the next try goes where the job can run, or waits. */
async function refusedBy(run: ActiveRun, refusal: Fault): Promise<Outcome> {
  if (refusal.code === 'NOT_EQUIPPED') await unlessInterrupted(run, run.subject.member.rereadLists());
  return failed(refusal);
}

function isFinalAnswer(failure: HttpFailure): boolean {
  const { reason, status } = failure;
  return (
    reason === 'malformed' || (reason === 'status' && status !== 408 && status !== 502 && status !== 504)
  );
}

function statusDetail(failure: HttpFailure): string | null {
  return failure.status === undefined ? null : `the instance answered with status ${failure.status}`;
}
