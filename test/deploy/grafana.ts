/** The dashboards as Grafana reads them, and what it makes of the variables in their queries. */
import { readFileSync } from 'node:fs';

/** One query of a panel or of a variable. */
export interface PanelQuery {
  /** Panel and letter, for people. */
  readonly name: string;
  readonly target: Target;
}

/** Of Prometheus (`expr`) or of Infinity (the others). */
export interface Target {
  readonly refId: string;
  readonly expr?: string;
  readonly url?: string;
  readonly format?: string;
  readonly url_options?: {
    readonly method: string;
    readonly body_type: string;
    readonly body_graphql_query: string;
    readonly body_graphql_variables: string;
  };
  readonly root_selector?: string;
  readonly columns?: readonly { readonly selector: string; readonly text: string; readonly type: string }[];
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
}

export interface Variable {
  readonly name: string;
  readonly type: string;
  readonly query: string | { readonly query: string; readonly infinityQuery?: Target };
  readonly allValue?: string;
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
}

export function readDashboard(name: 'fleet' | 'fleet-graphql'): Dashboard {
  const file = new URL(`../../deploy/grafana/dashboards/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as Dashboard;
}

export function queriesOf({ panels }: Dashboard): PanelQuery[] {
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map((target) => ({ name: `${title} ${target.refId}`, target })),
  );
}

/** What a variable stands for: a text as it is, or chosen values, which a format joins. */
export type Value = string | readonly string[];

/** `$name`, `${name}` and `${name:json}` filled in. @throws on a name that is not given: it would be sent as it stands. */
export function filledIn(text: string, values: Readonly<Record<string, Value>>): string {
  return text.replace(/\$(?:\{(\w+)(?::(\w+))?\}|(\w+))/g, (all, braced, format, bare) => {
    const value = values[braced ?? bare];
    if (value === undefined) throw new Error(`nobody fills in ${all}`);
    if (typeof value === 'string') return value;
    if (format === 'json') return JSON.stringify(value);
    return value.length === 1 ? `${value[0]}` : `(${value.join('|')})`;
  });
}

/** What a dotted path leads to, with numbers for places in lists. */
export function selected(value: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((inner, key) => (inner as Record<string, unknown> | null)?.[key], value);
}
