import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { readCompose } from './compose-file.ts';
import { KNOBS, S3_CREDENTIALS } from './knobs.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (file: string) => readFileSync(ROOT + file, 'utf8');
const guide = read('DEPLOYMENT.md');

it('names variables that there are: knobs, those of Node and of the S3 client, and of docker-compose.yml', () => {
  const ofCompose = [...read('docker-compose.yml').matchAll(/\$\{(\w+)/g)].map(([, name = '']) => name);
  const known = new Set<string>([
    ...KNOBS,
    ...S3_CREDENTIALS,
    ...ofCompose,
    'NODE_EXTRA_CA_CERTS',
    'STORAGE_UNAVAILABLE',
  ]);
  const named = [...guide.matchAll(/\b[A-Z][A-Z0-9]*_[A-Z][A-Z_0-9]*\b(?!\*)/g)].map(([name]) => name);
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((name) => !known.has(name) && !name.endsWith('_'))).toEqual([]);
});

it.each(['DEPLOYMENT.md', 'README.md'])('%s links to files that there are', (file) => {
  const links = [...read(file).matchAll(/\]\(([^)#:]+)\)/g)].map(([, link = '']) => link);
  expect(links.length).toBeGreaterThan(2);
  expect(links.filter((link) => !existsSync(ROOT + link))).toEqual([]);
});

/** Commands of Compose after which every argument is a service. */
const OF_SERVICES = ['build', 'up', 'stop', 'start', 'restart', 'kill', 'logs', 'ps'];
const OPTIONS_WITH_VALUE = new Set(['--scale', '--timeout', '--tail']);

/** The services that a command names: arguments that are no options, and those that it scales. */
function servicesOf(command: string): string[] {
  const [, ...args] = command.trim().split(/\s+/);
  const named: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? '';
    if (OPTIONS_WITH_VALUE.has(word)) {
      at += 1;
      if (word === '--scale') named.push((args[at] ?? '').split('=')[0] ?? '');
    } else if (!word.startsWith('-')) named.push(word);
  }
  return named;
}

/** Every `docker compose` of the guide, in blocks and in sentences, loops unrolled. */
function composeCommands(): string[] {
  const unrolled = guide.replace(
    /for (\w+) in ([^;]+); do ([^;]+); done/g,
    (_all, name: string, values: string, body: string) =>
      values
        .split(' ')
        .map((value) => body.replaceAll(`$${name}`, value))
        .join('\n'),
  );
  // a sentence may be broken within a command, a block may not
  const [sentences, blocks] = [
    unrolled.replace(/```[\s\S]*?```/g, ''),
    unrolled.match(/```[\s\S]*?```/g) ?? [],
  ];
  const inSentences = [...sentences.matchAll(/`([^`]+)`/g)].map(([, code = '']) =>
    code.replaceAll('\n', ' '),
  );
  return [...inSentences, ...blocks.flatMap((block) => block.split('\n'))].flatMap((line) =>
    [...line.matchAll(/docker compose (?:--profile \w+ )?([^`&|;#]+)/g)].map(([, command = '']) => command),
  );
}

it('names services and manifests that there are', () => {
  const services = Object.keys(readCompose().services);
  const commands = composeCommands();
  const named = commands.flatMap(servicesOf);
  expect(OF_SERVICES).toEqual(
    expect.arrayContaining(commands.map((command) => command.trim().split(/\s/)[0])),
  );
  // so that the reading of commands works: sentences, options, loops
  expect(named).toEqual(expect.arrayContaining(['scheduler', 'comfyui', 'api-1', 'api-2', 'standby']));
  expect(named.filter((name) => !services.includes(name))).toEqual([]);
  const manifests = guide.match(/for part in ([^;]+);/)?.[1]?.split(' ') ?? [];
  expect(manifests.length).toBeGreaterThan(3);
  expect(manifests.filter((name) => !existsSync(`${ROOT}deploy/kubernetes/${name}.yaml`))).toEqual([]);
});

it('README.md names measurements and rounds that there are', () => {
  const readme = read('README.md');
  const keysOf = (file: string) =>
    [...read(file).matchAll(/^ {2}'?([a-z-]+)'?(?:: \w+)?,$/gm)].map(([, name]) => name);
  const quoted = (text = '') => [...text.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name);
  const benches = quoted(/`-- NAME` runs one: (.*)\|/.exec(readme)?.[1]);
  expect(benches).toContain('metrics-query');
  expect(keysOf('bench/run.ts')).toEqual(expect.arrayContaining(benches));
  const rounds = quoted(/more rounds: `npm run chaos --\s*([^;]*)/.exec(readme)?.[1]);
  expect(rounds).toContain('numbers');
  expect(keysOf('chaos/run.ts')).toEqual(expect.arrayContaining(rounds));
});
