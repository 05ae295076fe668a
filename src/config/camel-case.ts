/** Names of variables to names of fields: MAX_BODY_BYTES is maxBodyBytes. */

type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Lowercase<Head>}${Capitalize<CamelCase<Tail>>}`
  : Lowercase<Name>;

type CamelCased<Variables> = {
  [Name in keyof Variables as CamelCase<Name & string>]-?: Variables[Name];
};

/** The same values under their fields' names; a variable that is not set is undefined. */
export function camelCased<Variables extends object>(variables: Variables): CamelCased<Variables> {
  const entries = Object.entries(variables).map(([name, value]) => [camelCase(name), value] as const);
  return Object.fromEntries(entries) as CamelCased<Variables>;
}

function camelCase(name: string): string {
  return name.toLowerCase().replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
