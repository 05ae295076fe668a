import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config.ts';
import { KNOBS } from './knobs.ts';
import { type Manifest, readManifests, schemaProblem, unknownFields } from './manifests.ts';

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly ports: readonly { name: string; containerPort: number }[];
  readonly envFrom: readonly { configMapRef?: { name: string }; secretRef?: { name: string } }[];
  readonly startupProbe: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
  readonly securityContext: object;
  readonly resources: object;
  readonly volumeMounts: readonly { name: string; mountPath: string }[];
}
interface Probe {
  readonly httpGet: { path: string; port: string };
}
interface Deployment {
  readonly replicas: number;
  readonly selector: { matchLabels: Record<string, string> };
  readonly strategy: { rollingUpdate: object };
  readonly template: {
    metadata: { labels: Record<string, string>; annotations: Record<string, string> };
    spec: {
      containers: readonly [Container];
      terminationGracePeriodSeconds: number;
      securityContext: object;
      volumes: readonly { name: string; emptyDir: object }[];
    };
  };
}

const manifests = readManifests();
const find = (kind: string, name: string): Manifest => {
  const found = manifests.find((each) => each.kind === kind && each.metadata.name === name);
  if (!found) throw new Error(`there is no ${kind} ${name}`);
  return found;
};
const deploymentOf = (name: string) => find('Deployment', name).spec as Deployment;
const containerOf = (name: string) => deploymentOf(name).template.spec.containers[0];

/** As the kubelet puts it together. */
function environmentOf(name: string): Record<string, string> {
  const parts = containerOf(name).envFrom.map(({ configMapRef, secretRef }) =>
    configMapRef
      ? (find('ConfigMap', configMapRef.name).data as Record<string, string>)
      : (find('Secret', secretRef?.name ?? '').stringData as Record<string, string>),
  );
  return Object.assign({}, ...parts);
}

describe('the Kubernetes manifests', () => {
  it('are as their schema wants them', () => {
    expect(manifests.length).toBeGreaterThan(10);
    expect(manifests.map(schemaProblem).filter((problem) => problem !== null)).toEqual([]);
    const wrong = structuredClone(find('Deployment', 'api'));
    Object.assign(wrong.spec as object, { replicas: 'two' });
    expect(schemaProblem(wrong)).toContain('/spec/replicas');
  });

  it('have no field that the schema does not know, which would be found', { timeout: 60_000 }, () => {
    const broken = structuredClone(find('Deployment', 'api'));
    Object.assign((broken.spec as Deployment).template.spec.containers[0], { memoryLimit: '1Gi' });
    expect(unknownFields([...manifests, broken])).toEqual([
      expect.stringMatching(/^20-api\.yaml Deployment: .*"memoryLimit"' does not exist in type 'IContainer'/),
    ]);
  });

  it('live in a namespace of their own, but for the rule on where ComfyUI runs', () => {
    const elsewhere = manifests.filter(({ metadata }) => metadata.namespace !== 'comfyfleet');
    expect(elsewhere.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
      'Namespace comfyfleet',
      'NetworkPolicy comfyui-only-from-schedulers',
    ]);
  });
});

describe.each(['api', 'scheduler'])('the pods of the %s', (name) => {
  it('are configured with nothing but knobs, and the configuration is understood', () => {
    const environment = environmentOf(name);
    const { AWS_ACCESS_KEY_ID: _id, AWS_SECRET_ACCESS_KEY: _secret, ...knobs } = environment;
    const config = parseConfig(knobs);
    expect(config.role).toBe(name);
    expect(config.port).toBe(containerOf(name).ports[0]?.containerPort);
    expect(containerOf(name).volumeMounts.map(({ mountPath }) => mountPath)).toContain(config.dataDir);
    expect(Object.keys(knobs).filter((knob) => !KNOBS.has(knob))).toEqual([]);
  });

  it('are given the time that stopping takes', () => {
    const { shutdownDelayMs, shutdownGraceMs } = parseConfig(environmentOf(name));
    const { terminationGracePeriodSeconds } = deploymentOf(name).template.spec;
    expect(terminationGracePeriodSeconds * 1000).toBeGreaterThan(shutdownDelayMs + shutdownGraceMs + 5000);
  });

  it('are replaced one by one, a new one first, and two are wanted', () => {
    expect(deploymentOf(name).strategy.rollingUpdate).toEqual({ maxUnavailable: 0, maxSurge: 1 });
    expect(deploymentOf(name).replicas).toBe(2);
    expect(find('PodDisruptionBudget', name).spec).toMatchObject({ minAvailable: 1 });
  });

  it('are asked whether they are ready and alive', () => {
    const { readinessProbe, livenessProbe, startupProbe, ports } = containerOf(name);
    expect(readinessProbe.httpGet.path).toBe('/ready');
    for (const { httpGet } of [livenessProbe, startupProbe]) expect(httpGet.path).toBe('/live');
    for (const { httpGet } of [readinessProbe, livenessProbe, startupProbe])
      expect(ports.map((port) => port.name)).toContain(httpGet.port);
  });

  it('are scraped where they listen, and Prometheus is let in', () => {
    const { annotations } = deploymentOf(name).template.metadata;
    expect(annotations['prometheus.io/scrape']).toBe('true');
    expect(annotations['prometheus.io/path']).toBe('/metrics');
    const port = Number(annotations['prometheus.io/port']);
    expect(containerOf(name).ports.map(({ containerPort }) => containerPort)).toEqual([port]);
    const { ingress } = find('NetworkPolicy', name).spec as { ingress: readonly { ports: object[] }[] };
    const monitoring = {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } },
    };
    expect(ingress).toContainEqual({ from: [monitoring], ports: [{ protocol: 'TCP', port }] });
  });

  it('may do nothing that they need not, and write only where a volume is', () => {
    const { spec } = deploymentOf(name).template;
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
    expect(containerOf(name).securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(spec.volumes.map((volume) => volume.name)).toEqual(
      containerOf(name).volumeMounts.map((mount) => mount.name),
    );
    expect(containerOf(name).resources).toMatchObject({ requests: {}, limits: {} });
  });

  it('run an image of a certain version, with a command that there is', () => {
    expect(containerOf(name).image).toMatch(/:\d+\.\d+\.\d+$/);
    expect(containerOf(name).args).toEqual(['serve']);
  });

  it('are what the selectors of their service, budget and policy select', () => {
    const { labels } = deploymentOf(name).template.metadata;
    expect(deploymentOf(name).selector.matchLabels).toEqual(labels);
    expect((find('Service', name).spec as { selector: object }).selector).toEqual(labels);
    for (const kind of ['PodDisruptionBudget', 'NetworkPolicy']) {
      const spec = find(kind, name).spec as { selector?: object; podSelector?: object };
      expect(spec.selector ?? spec.podSelector).toEqual({ matchLabels: labels });
    }
  });
});

it('the ingress leads to a port of the api, not to its figures, and lets uploads, streams and long waits through', () => {
  const ingress = find('Ingress', 'comfyfleet');
  const backend = { service: { name: 'api', port: { name: 'http' } } };
  const paths = [
    { path: '/graphql', pathType: 'Exact', backend },
    { path: '/files', pathType: 'Prefix', backend },
    { path: '/health', pathType: 'Exact', backend },
    { path: '/status', pathType: 'Exact', backend },
  ];
  expect(ingress.spec).toMatchObject({ rules: [{ http: { paths } }] });
  expect(find('Service', 'api').spec).toMatchObject({ ports: [{ name: 'http', targetPort: 'http' }] });
  const { annotations } = ingress.metadata as unknown as { annotations: Record<string, string> };
  for (const [name, value] of Object.entries(annotations)) {
    if (name.endsWith('body-size')) expect(value).toBe('110m');
    if (name.endsWith('timeout')) expect(Number.parseInt(value, 10)).toBe(90);
  }
});

it('only schedulers reach ComfyUI', () => {
  const { ingress } = find('NetworkPolicy', 'comfyui-only-from-schedulers').spec as {
    ingress: readonly { from: readonly object[] }[];
  };
  expect(ingress).toHaveLength(1);
  expect(ingress[0]?.from).toEqual([
    {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'comfyfleet' } },
      podSelector: { matchLabels: deploymentOf('scheduler').template.metadata.labels },
    },
  ]);
});
