/** What a scenario is given and what it answers: rows of the scoreboard, each with its target. */

export interface ScenarioSetting {
  /** Everything random comes from it. */
  readonly seed: number;
  /** Progress, one line. */
  readonly say: (line: string) => void;
}

/** One row of the scoreboard as it was measured. */
export interface Finding {
  /** R-number of the scoreboard, or what it is about where that has none. */
  readonly row: string;
  readonly what: string;
  readonly target: string;
  readonly measured: string;
  readonly met: boolean;
}

export type Scenario = (setting: ScenarioSetting) => Promise<readonly Finding[]>;

/** True when every target was met. */
export function printReport(findings: readonly Finding[]): boolean {
  for (const { row, what, target, measured, met } of findings) {
    console.log(
      `  ${met ? 'met   ' : 'MISSED'} ${row.padEnd(4)} ${what}\n         target ${target}; measured ${measured}`,
    );
  }
  return findings.every((finding) => finding.met);
}

/** A stream of numbers in [0, 1) that a seed repeats (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
