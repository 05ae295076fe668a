import { buildSchema, execute, GraphQLError, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { withoutValue } from '../../src/graphql/coercion-error.ts';

const schema = buildSchema(`
  input Input { url: String! capacity: Int kind: Kind }
  enum Kind { BIG }
  type Query { add(input: Input!): Int }
`);
const document = parse('query ($input: Input!) { add(input: $input) }');

async function told(input: unknown): Promise<string> {
  const { errors = [] } = await execute({ schema, document, variableValues: { input } });
  return errors.map((error) => withoutValue(error).message).join('\n');
}

describe('withoutValue', () => {
  it.each([
    [{ url: 'SECRET', nmae: 1 }, 'Variable "$input": Field "nmae" is not defined by type "Input".'],
    [{ capacity: 1, nmae: 'SECRET' }, 'Variable "$input": Field "nmae" is not defined by type "Input".'],
    [
      { url: 'SECRET', capacity: 'SECRET' },
      'Variable "$input" at "input.capacity": Int cannot represent non-integer value',
    ],
    [['SECRET; at "x"'], 'Variable "$input": Expected type "Input" to be an object.'],
    [
      { url: ['SECRET at "y"', '; SECRET'] },
      'Variable "$input" at "input.url": String cannot represent a non string value',
    ],
    ['SECRET: at "x"', 'Variable "$input": Expected type "Input" to be an object.'],
    [null, 'Variable "$input" of non-null type "Input!" must not be null.'],
  ])('tells what is wrong with %j, and nothing of what is in it', async (input, expected) => {
    const message = await told(input);
    expect(message).toContain(expected);
    expect(message).not.toContain('SECRET');
  });

  it('leaves other errors alone', () => {
    const error = new GraphQLError('Variable "$input" is not used');
    expect(withoutValue(error)).toBe(error);
  });
});
