/** The attempts that are open in this process: who holds which place, and whose news a message is. */
import type { ComfyMessage } from '../../comfyui/messages.ts';
import type { ActiveRun } from './active-run.ts';

export class Runs {
  readonly #byPrompt = new Map<string, ActiveRun>();
  /** The same by instance; nothing empty. */
  readonly #byInstance = new Map<string, Set<ActiveRun>>();
  /** Whom to tell when an instance has none left. */
  readonly #waiting = new Map<string, readonly (() => void)[]>();

  add(run: ActiveRun): void {
    this.#byPrompt.set(run.promptId, run);
    const { id } = run.subject.member;
    const here = this.#byInstance.get(id);
    if (here) here.add(run);
    else this.#byInstance.set(id, new Set([run]));
  }

  remove(run: ActiveRun): void {
    this.#byPrompt.delete(run.promptId);
    const { id } = run.subject.member;
    const here = this.#byInstance.get(id);
    here?.delete(run);
    if (here?.size !== 0) return;
    this.#byInstance.delete(id);
    for (const tell of this.#waiting.get(id) ?? []) tell();
    this.#waiting.delete(id);
  }

  /** Resolves once no run is on the instance. */
  emptied(instanceId: string): Promise<void> {
    if (!this.#byInstance.has(instanceId)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.set(instanceId, [...(this.#waiting.get(instanceId) ?? []), resolve]);
    });
  }

  all(): ActiveRun[] {
    return [...this.#byPrompt.values()];
  }

  has(promptId: string): boolean {
    return this.#byPrompt.has(promptId);
  }

  ofJob(jobId: string): ActiveRun[] {
    return this.all().filter((run) => run.subject.job.id === jobId);
  }

  ofInstance(instanceId: string): ActiveRun[] {
    return [...(this.#byInstance.get(instanceId) ?? [])];
  }

  /** How many run, by tenant; tenants without any are absent. */
  byTenant(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { subject } of this.#byPrompt.values()) {
      const { tenant } = subject.job;
      counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
    }
    return counts;
  }

  /** Prompts of ours are in its queue. */
  isBusy(instanceId: string): boolean {
    return this.ofInstance(instanceId).some((run) => run.posted !== 'no' && !run.ended);
  }

  /** Hands a message to the run it is about; messages of prompts that are not ours go nowhere. */
  route(instanceId: string, message: ComfyMessage): void {
    const promptId = 'promptId' in message ? message.promptId : null;
    if (promptId !== null) {
      const run = this.#byPrompt.get(promptId);
      if (run?.subject.member.id === instanceId) run.receive(message);
      return;
    }
    this.#nameless(instanceId, message)?.receive(message);
  }

  /** ComfyUI runs one prompt at a time, so a picture or text without a name is of the one that runs. */
  #nameless(instanceId: string, message: ComfyMessage): ActiveRun | undefined {
    const runs = this.ofInstance(instanceId);
    switch (message.kind) {
      case 'preview':
      case 'text':
        return runs.find((run) => run.isRunning);
      case 'executing':
        // right after a reconnect: which node of our prompt runs; of which prompt is certain only when it is the only one
        return message.node !== null && runs.length === 1 ? runs[0] : undefined;
      default:
        return undefined;
    }
  }
}
