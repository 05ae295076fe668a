import perfHooks from 'node:perf_hooks';
import { expect, it, vi } from 'vitest';
import { ProcessFigures } from '../../../src/metrics/prometheus/process-figures.ts';

it('watches the process once, for all gateways that it has had, since that cannot be ended', async () => {
  const watching = vi.spyOn(perfHooks, 'monitorEventLoopDelay');
  const [one, another, silent] = [new ProcessFigures(), new ProcessFigures(), new ProcessFigures()];
  one.observeProcess();
  one.observeProcess();
  another.observeProcess();
  expect(watching).toHaveBeenCalledTimes(1);
  for (const figures of [one, another])
    expect((await figures.text()).match(/^nodejs_eventloop_lag_p99_seconds /gm)).toHaveLength(1);
  expect(await silent.text()).not.toContain('nodejs_');
});
