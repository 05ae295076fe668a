import { readFileSync } from 'node:fs';
import {
  astFromValue,
  type GraphQLInputType,
  type GraphQLNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isUnionType,
  buildSchema as parseSchema,
  print,
  printSchema,
} from 'graphql';
import { describe, expect, it } from 'vitest';
import { printedSchema } from '../../scripts/print-schema.ts';

const fixture = (name: string): string =>
  readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8');
const contract = parseSchema(fixture('contract.graphql'));
const ours = parseSchema(printedSchema());

/** graphql-js cannot print the default `{}` of a scalar; a resolver fills it in. */
const DEFAULT_NOT_PRINTABLE = new Set(['SubmitJobInput.inputs', 'SubmitJobInput.labels']);

/** Everything a type promises, one line each. */
function promises(type: GraphQLNamedType): Map<string, string> {
  const lines = new Map<string, string>();
  if (isObjectType(type) || isInterfaceType(type)) {
    for (const each of type.getInterfaces()) lines.set(`${type.name} implements ${each.name}`, 'yes');
    for (const field of Object.values(type.getFields())) {
      lines.set(`${type.name}.${field.name}`, String(field.type));
      for (const arg of field.args) {
        lines.set(`${type.name}.${field.name}(${arg.name})`, `${arg.type}${defaultOf(arg)}`);
      }
    }
  }
  if (isInputObjectType(type)) {
    if (type.isOneOf) lines.set(`${type.name} is oneOf`, 'yes');
    for (const field of Object.values(type.getFields())) {
      const name = `${type.name}.${field.name}`;
      lines.set(name, `${field.type}${DEFAULT_NOT_PRINTABLE.has(name) ? '' : defaultOf(field)}`);
    }
  }
  if (isUnionType(type)) for (const each of type.getTypes()) lines.set(`${type.name} | ${each.name}`, 'yes');
  if (isEnumType(type)) for (const each of type.getValues()) lines.set(`${type.name}.${each.name}`, 'yes');
  return lines;
}

function defaultOf(input: { readonly defaultValue?: unknown; readonly type: GraphQLInputType }): string {
  if (input.defaultValue === undefined) return '';
  if (typeof input.defaultValue === 'object') return ' = {}';
  const ast = astFromValue(input.defaultValue, input.type);
  return ast ? ` = ${print(ast)}` : '';
}

describe('the schema beside the contract', () => {
  const types = Object.values(contract.getTypeMap()).filter(({ name }) => !name.startsWith('__'));

  it.each(types.map((type) => [type.name, type] as const))(
    'has %s with everything the contract promises of it',
    (name, type) => {
      const own = ours.getType(name);
      expect(own?.constructor.name).toBe(type.constructor.name);
      const kept = own ? promises(own) : new Map();
      for (const [promise, value] of promises(type)) {
        expect(`${promise}: ${kept.get(promise)}`).toBe(`${promise}: ${value}`);
      }
    },
  );

  it('has a typed mutation for each shipped workflow, with the options of submitJob beside its own inputs', () => {
    const fields = ours.getMutationType()?.getFields() ?? {};
    for (const name of ['removeBackground', 'upscaleImage', 'generateImage']) {
      expect(String(fields[name]?.type)).toBe('SubmitJobResult!');
    }
    const input = ours.getType('GenerateImageInput');
    const inputs = isInputObjectType(input) ? input.getFields() : {};
    const printed = Object.fromEntries(
      Object.values(inputs).map((field) => [field.name, `${field.type}${defaultOf(field)}`]),
    );
    expect(printed).toMatchObject({
      prompt: 'String!',
      width: 'Int = 512',
      height: 'Int = 512',
      steps: 'Int = 20',
      cfgScale: 'Float = 7',
      sampler: 'String = "euler_ancestral"',
      seed: 'Float',
      model: 'String',
      priority: 'Int = 5',
      waitMs: 'Float',
    });
    const upscale = ours.getType('UpscaleImageInput');
    const image = isInputObjectType(upscale) ? upscale.getFields().image : undefined;
    expect(String(image?.type)).toBe('ImageSource!');
  });

  it('describes every type, field, argument and value', () => {
    const undescribed: string[] = [];
    const look = (name: string, thing: { description?: string | null | undefined }): void => {
      if (!thing.description) undescribed.push(name);
    };
    for (const type of Object.values(ours.getTypeMap())) {
      if (type.name.startsWith('__') || ['String', 'Int', 'Float', 'Boolean', 'ID'].includes(type.name))
        continue;
      look(type.name, type);
      if (isObjectType(type) || isInterfaceType(type)) {
        for (const field of Object.values(type.getFields())) {
          look(`${type.name}.${field.name}`, field);
          for (const arg of field.args) look(`${type.name}.${field.name}(${arg.name})`, arg);
        }
      }
      if (isInputObjectType(type)) {
        for (const field of Object.values(type.getFields())) look(`${type.name}.${field.name}`, field);
      }
    }
    expect(undescribed).toEqual([]);
  });

  it('is printed as schema.graphql has it', () => {
    const committed = readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8');
    expect(printSchema(parseSchema(committed))).toBe(printSchema(ours));
  });
});
