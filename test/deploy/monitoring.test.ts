import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type ComposeService, readCompose } from './compose-file.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const { services } = readCompose();
const provisioning = `${ROOT}deploy/grafana/provisioning`;
const { prometheus, grafana } = services as Record<'prometheus' | 'grafana', ComposeService>;

/** Folders of this repository by where a service sees them; ones that are not there would be made as root, and empty. */
function mounts({ volumes = [] }: ComposeService): Map<string, string> {
  const here = volumes.map((volume) => volume.split(':')).filter(([from]) => from?.startsWith('./'));
  for (const [from, , mode] of here) {
    expect(existsSync(ROOT + from), from).toBe(true);
    expect(mode).toBe('ro');
  }
  return new Map(here.map(([from = '', to = '']) => [to, from]));
}

describe('the monitoring services', () => {
  it('run when they are asked for, can change nothing but their own volume, and reach no GPU', () => {
    for (const service of [prometheus, grafana]) {
      expect(service.profiles).toEqual(['monitoring']);
      expect(service.read_only).toBe(true);
      expect(service.networks).toContain('inside');
    }
    expect(prometheus.ports).toBeUndefined();
    expect(prometheus.networks).toEqual(['inside']);
  });

  it('scrape every process of the gateway, on its own port', () => {
    const { scrape_configs: jobs, rule_files: rules } = parse(
      readFileSync(`${ROOT}deploy/prometheus/prometheus.yml`, 'utf8'),
    );
    const processes = Object.entries(services).filter(([, { environment }]) => environment?.ROLE);
    expect(jobs[0].static_configs[0].targets).toEqual(
      processes.map(([name, { environment }]) => `${name}:${environment?.PORT}`),
    );
    expect(mounts(prometheus).get('/etc/prometheus')).toBe('./deploy/prometheus');
    for (const file of rules) expect(existsSync(`${ROOT}deploy/prometheus/${file}`)).toBe(true);
    for (const [, { networks }] of processes) expect(networks).toContain('inside');
  });

  it('know the data sources of the dashboards, and where they are', () => {
    const { datasources } = parse(readFileSync(`${provisioning}/datasources/comfyfleet.yml`, 'utf8')) as {
      datasources: { type: string; url: string; jsonData: { allowedHosts?: string[] } }[];
    };
    for (const { url } of datasources) expect(services).toHaveProperty(new URL(url).hostname);
    const types = datasources.map(({ type }) => type);
    expect(types).toEqual(['prometheus', 'yesoreyeram-infinity-datasource']);
    expect(datasources[1]?.jsonData.allowedHosts).toEqual([datasources[1]?.url]);
    expect(grafana.environment?.GF_PLUGINS_PREINSTALL).toMatch(
      /^yesoreyeram-infinity-datasource@\d+\.\d+\.\d+$/,
    );
  });

  it('are given the dashboards', () => {
    const folders = mounts(grafana);
    expect(folders.get('/etc/grafana/provisioning')).toBe('./deploy/grafana/provisioning');
    const { providers } = parse(readFileSync(`${provisioning}/dashboards/comfyfleet.yml`, 'utf8'));
    const folder = folders.get(providers[0].options.path) ?? '';
    const home = grafana.environment?.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH ?? '';
    expect(readdirSync(ROOT + folder)).toEqual(['fleet-graphql.json', 'fleet.json']);
    expect(existsSync(ROOT + home.replace(providers[0].options.path, folder))).toBe(true);
  });
});
