/** The end of a run: what history says of it, and the outputs that are not fetched yet. */
import { decideEnd, type HistoryEntry } from '../../comfyui/history.ts';
import { type Fault, fault } from '../../domain/fault.ts';
import { isObject, type JsonObject } from '../../lib/json.ts';
import type { ActiveRun } from '../runs/active-run.ts';
import { insist } from '../runs/insist.ts';
import { failed, INTERRUPTED, type Outcome } from '../runs/outcome.ts';
import { refusedPart } from '../runs/refused-part.ts';
import { faultOfEnd, faultOfError } from '../runs/run-faults.ts';
import { nodeOfGraph } from '../runs/translate.ts';
import { resultSender } from './result-sender.ts';

export async function collect(run: ActiveRun, entry: HistoryEntry): Promise<Outcome> {
  run.endDeadline();
  const { graph, attempt, term } = run.subject;
  const runMs = timeOnInstance(run, entry);
  // a blocked output is told by the socket only; history calls such a run a success
  const problem =
    faultOfEnd(decideEnd(entry), graph) ?? (run.blocked ? faultOfError(run.blocked, graph) : null);
  if (problem) return failed(problem, runMs);
  const refused = await refusedPart(run, entry);
  if (refused) return failed(refused, runMs);
  for (const [node, output] of Object.entries(entry.outputs)) {
    const shown = nodeOfGraph(graph, entry.displayNodes.get(node) ?? node) ?? nodeOfGraph(graph, node);
    // a node that is neither of the graph nor made by one of its nodes has nothing to give
    if (shown !== null && isObject(output)) run.outputs.take(node, shown, output as JsonObject);
  }
  const [, missing] = await Promise.all([
    insist(run, () => run.parts.recorder.collecting(attempt.id, term)),
    run.outputs.settled(),
  ]);
  if (run.interruption) return INTERRUPTED;
  // its files went with the instance: the job is not to blame and runs again
  if (missing?.code === 'INSTANCE_LOST') return { kind: 'lost', fault: missing };
  if (missing) return failed(missing, runMs);
  if (run.outputs.count === 0) return failed(nothingMade(run), runMs);
  return { kind: 'succeeded', runMs };
}

/** It certainly ran: where nothing tells for how long, since it was posted. */
function timeOnInstance(run: ActiveRun, entry: HistoryEntry): number {
  run.historyRead(entry);
  return run.ranMs ?? Math.max(0, run.parts.clock.monotonic() - run.postedAt);
}

/** A node that sends its result over the socket leaves none in history: without a socket the result is gone. */
function nothingMade(run: ActiveRun): Fault {
  const sender = resultSender(run.subject.graph);
  const detail = 'the result is sent over the WebSocket of the instance, which was down';
  return sender ? fault('OUTPUT_UNAVAILABLE', detail, sender) : fault('NO_OUTPUT');
}
