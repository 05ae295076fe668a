/** What an operator does with instances, in tests: the mutations, their answers, and the `instances` subscription. */
import type { TestClient, Variables } from './graphql-client.ts';

export interface InstanceView {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly health: string;
  readonly draining: boolean;
  readonly capacity: number;
  readonly running: number;
  readonly removedAt: string | null;
  readonly lastSeenAt: string | null;
  readonly lastError: string | null;
  readonly loadedModels: readonly string[];
}

export interface FleetAnswer {
  readonly __typename: string;
  readonly instance?: InstanceView;
  readonly removedInstanceId?: string;
  readonly message?: string;
  readonly issues?: readonly { readonly path: readonly string[]; readonly message: string }[];
}

export const INSTANCE =
  'id name url health draining capacity running removedAt lastSeenAt lastError loadedModels';

const FAILURE = '... on Error { message } ... on ValidationError { issues { path message } }';

type Change = 'drainInstance' | 'resumeInstance' | 'probeInstance' | 'freeInstanceMemory';

export async function addInstance(client: TestClient, input: Variables): Promise<FleetAnswer> {
  const mutation = `mutation ($input: AddInstanceInput!) {
    answer: addInstance(input: $input) { __typename ... on InstanceSuccess { instance { ${INSTANCE} } } ${FAILURE} } }`;
  return (await client.run<{ answer: FleetAnswer }>(mutation, { input })).answer;
}

export async function changeInstance(client: TestClient, change: Change, id: string): Promise<FleetAnswer> {
  const mutation = `mutation ($id: ID!) {
    answer: ${change}(input: {id: $id}) { __typename ... on InstanceSuccess { instance { ${INSTANCE} } } ${FAILURE} } }`;
  return (await client.run<{ answer: FleetAnswer }>(mutation, { id })).answer;
}

export async function removeInstance(client: TestClient, id: string): Promise<FleetAnswer> {
  const mutation = `mutation ($id: ID!) {
    answer: removeInstance(input: {id: $id}) { __typename ... on RemoveInstanceSuccess { removedInstanceId } ${FAILURE} } }`;
  return (await client.run<{ answer: FleetAnswer }>(mutation, { id })).answer;
}

export async function instances(client: TestClient): Promise<readonly InstanceView[]> {
  return (await client.run<{ instances: InstanceView[] }>(`{ instances { ${INSTANCE} } }`)).instances;
}

export async function instance(client: TestClient, id: string): Promise<InstanceView | null> {
  const query = `query ($id: ID!) { instance(id: $id) { ${INSTANCE} } }`;
  return (await client.run<{ instance: InstanceView | null }>(query, { id })).instance;
}
