/** Installs packages of Debian and Ubuntu without starting the servers that come with them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One at a time on a machine; who waited may find that all is there, which costs a second. */
const LOCK = join(tmpdir(), 'comfyfleet-test-install.lock');

/** apt asks this file before it starts a daemon; 101 says no. One that is there already is left as it is. */
const SCRIPT = `
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\\nexit 101\\n' > "$policy" && chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
apt-get update && apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
`;

export function hasApt(): boolean {
  return existsSync('/usr/bin/apt-get') && existsSync('/usr/bin/flock');
}

/** @throws with the end of what apt said. */
export async function aptInstall(packages: readonly string[], say: (line: string) => void): Promise<void> {
  say(
    '  with apt, as TEST_INSTALL=0 does not forbid it; no server of the system is started; this takes a minute',
  );
  const startedAt = performance.now();
  const folder = await mkdtemp(join(tmpdir(), 'comfyfleet-apt-'));
  const log = join(folder, 'log');
  const child = spawn(
    'flock',
    [LOCK, 'sh', '-c', `exec > '${log}' 2>&1; ${SCRIPT}`, 'install', ...packages],
    { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, stdio: 'ignore' },
  );
  const took = (): string => `${Math.round((performance.now() - startedAt) / 1000)} s`;
  const still = setInterval(() => say(`  apt still works (${took()})`), 15_000);
  try {
    const [code] = (await once(child, 'exit')) as [number | null];
    const said = await readFile(log, 'utf8').catch(() => '');
    if (code !== 0) throw new Error(`apt-get install ${packages.join(' ')} failed:\n${said.slice(-2000)}`);
    say(`  installed in ${took()}`);
  } finally {
    clearInterval(still);
    await rm(folder, { recursive: true, force: true });
  }
}
