/** The two paces at which jobs are driven: one after the other, and so many at once. */
import type { Driver } from './drivers.ts';

/** Makes every job of a run differ from every other. */
let color = 0;

/** Latencies in ms of `count` jobs, each begun when the one before is done. */
export async function oneByOne(driver: Driver, count: number): Promise<number[]> {
  const latencies: number[] = [];
  for (let n = 0; n < count; n++) {
    const started = performance.now();
    await driver.run(color++);
    latencies.push(performance.now() - started);
  }
  return latencies;
}

/** Jobs per second of `count` jobs with a fixed number in flight, shared among the drivers. */
export async function allAtOnce(drivers: readonly Driver[], count: number, atOnce: number): Promise<number> {
  const started = performance.now();
  let next = 0;
  const worker = async (driver: Driver) => {
    while (next++ < count) await driver.run(color++);
  };
  await Promise.all(Array.from({ length: atOnce }, (_, n) => worker(drivers[n % drivers.length] as Driver)));
  return count / ((performance.now() - started) / 1000);
}
