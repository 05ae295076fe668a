/** What the Dockerfile says of the image: its environment, what it starts, and where its files come from. */
import { readFileSync } from 'node:fs';

interface Copy {
  /** The stage it is taken from; undefined: the folder of the project. */
  readonly from: string | undefined;
  readonly sources: readonly string[];
}

export interface Stage {
  readonly name: string | undefined;
  readonly copies: readonly Copy[];
  readonly environment: Readonly<Record<string, string>>;
  readonly user: string | undefined;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
}

/** The stages in their order; the last one is the image. */
export function readDockerfile(): Stage[] {
  const text = readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8')
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n\s*/g, ' ');
  return text
    .split(/^(?=FROM )/m)
    .filter((part) => part.startsWith('FROM '))
    .map(stageOf);
}

function stageOf(text: string): Stage {
  const lines = text.split('\n');
  const last = (word: string) =>
    lines.findLast((line) => line.startsWith(`${word} `))?.slice(word.length + 1);
  const list = (value: string | undefined) => JSON.parse(value?.match(/\[.*\]/)?.[0] ?? '[]') as string[];
  return {
    name: /^FROM \S+ AS (\w+)/.exec(text)?.[1],
    copies: lines.filter((line) => line.startsWith('COPY ')).map(copyOf),
    environment: Object.fromEntries(
      (last('ENV') ?? '')
        .split(' ')
        .filter(Boolean)
        .map((pair) => pair.split('=', 2)),
    ),
    user: last('USER'),
    entrypoint: list(last('ENTRYPOINT')),
    command: list(last('CMD')),
    healthcheck: list(last('HEALTHCHECK')),
  };
}

function copyOf(line: string): Copy {
  const words = line.split(/\s+/).slice(1, -1);
  const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length);
  return { from, sources: words.filter((word) => !word.startsWith('--')) };
}
