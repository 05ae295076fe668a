/** docker-compose.yml as Compose reads it: anchors merged, variables filled in. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface ComposeService {
  readonly image: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[]; readonly interval: string };
  readonly restart?: string;
  readonly stop_grace_period?: string;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly networks?: readonly string[];
  readonly profiles?: readonly string[];
  readonly read_only?: boolean;
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly volumes: Readonly<Record<string, object>>;
}

const FILE = new URL('../../docker-compose.yml', import.meta.url);

/** `variables` are what an operator set in his shell or in .env. */
export function readCompose(variables: Readonly<Record<string, string>> = {}): ComposeFile {
  return filledIn(parse(readFileSync(FILE, 'utf8'), { merge: true }), variables) as ComposeFile;
}

/** In values only, after the file was parsed: what is filled in is a text, also when it is empty. */
function filledIn(value: unknown, variables: Readonly<Record<string, string>>): unknown {
  if (Array.isArray(value)) return value.map((each) => filledIn(each, variables));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, filledIn(each, variables)]));
  }
  if (typeof value !== 'string') return value;
  return value.replace(
    /\$\{(\w+)(?::-([^}]*))?\}/g,
    (_all, name: string, otherwise?: string) => variables[name] || (otherwise ?? ''),
  );
}

/** Those that run our image. */
export function ownServices({ services }: ComposeFile): [string, ComposeService][] {
  return Object.entries(services).filter(([, { build }]) => build !== undefined);
}
