/** Changes of a fleet as an operator makes them: by mutation, asked again when a replica does not answer. */
import type { PatientClient } from '../patient-client.ts';

export type FleetMutation = 'addInstance' | 'drainInstance' | 'resumeInstance' | 'removeInstance';

/** What a mutation answered; times in epoch ms, around all of its repetitions. */
export interface FleetAnswer {
  readonly askedAt: number;
  readonly answeredAt: number;
  /** Name of the type that it answered. */
  readonly type: string;
  /** As clients have it; null when it names none. */
  readonly id: string | null;
}

interface Result {
  readonly __typename: string;
  readonly instance?: { readonly id: string };
  readonly removedInstanceId?: string;
}

const INPUT_OF: Readonly<Record<FleetMutation, string>> = {
  addInstance: 'AddInstanceInput',
  drainInstance: 'InstanceInput',
  resumeInstance: 'InstanceInput',
  removeInstance: 'InstanceInput',
};

export async function askFleet(
  client: PatientClient,
  mutation: FleetMutation,
  input: object,
): Promise<FleetAnswer> {
  const success =
    mutation === 'removeInstance'
      ? 'RemoveInstanceSuccess { removedInstanceId }'
      : 'InstanceSuccess { instance { id } }';
  const query = `mutation Change($input: ${INPUT_OF[mutation]}!) {
    result: ${mutation}(input: $input) { __typename ... on ${success} } }`;
  const askedAt = Date.now();
  const { result } = await client.run<{ result: Result }>(query, { input });
  const id = result.instance?.id ?? result.removedInstanceId ?? null;
  return { askedAt, answeredAt: Date.now(), type: result.__typename, id };
}

export interface InstanceSeen {
  readonly id: string;
  readonly name: string;
  readonly draining: boolean;
}

/** The fleet as a replica tells it. */
export async function fleetOf(client: PatientClient): Promise<readonly InstanceSeen[]> {
  return (await client.run<{ instances: InstanceSeen[] }>('{ instances { id name draining } }')).instances;
}
