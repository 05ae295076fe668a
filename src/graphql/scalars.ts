/** The scalars of the schema. Times leave as RFC 3339 text from the epoch milliseconds of our rows. */
import {
  type FloatValueNode,
  GraphQLError,
  type IntValueNode,
  Kind,
  type ValueNode,
  valueFromASTUntyped,
} from 'graphql';
import { isObject, type JsonObject } from '../lib/json.ts';
import type { Builder } from './builder.ts';
import { IncomingFile } from './incoming-file.ts';
import { parseTimeInput, type TimeInput, timeInputText } from './time-input.ts';

/** Deeper JSON than this is refused before anything walks it. */
const DEEPEST_JSON = 64;

export function addScalars(builder: Builder): void {
  builder.scalarType('DateTime', {
    description: 'A moment in RFC 3339, in UTC, with milliseconds: 2026-01-31T12:00:00.000Z.',
    specifiedByURL: 'https://scalars.graphql.org/andimarek/date-time.html',
    serialize: (epochMs) => new Date(epochMs).toISOString(),
    parseValue: () => refuse('DateTime is never an input; use TimeInput'),
  });
  builder.scalarType('JSON', {
    description: 'Any JSON value.',
    serialize: (value) => value,
    parseValue: (value) => shallow(value) as JsonObject,
    parseLiteral: (node, variables) => shallow(literal(node, variables)) as JsonObject,
  });
  builder.scalarType('JSONObject', {
    description: 'A JSON object.',
    serialize: (value) => value,
    parseValue: (value) => jsonObject(value),
    parseLiteral: (node, variables) => jsonObject(literal(node, variables)),
  });
  builder.scalarType('Upload', {
    description:
      'A file of this request, sent as the GraphQL multipart request specification says. Files are read one after the other in the order in which they are sent.',
    specifiedByURL: 'https://github.com/jaydenseric/graphql-multipart-request-spec',
    serialize: () => refuse('Upload is never an output'),
    parseValue: (value) => {
      if (value instanceof IncomingFile) return value;
      return refuse('an Upload must be a file of a multipart request');
    },
    parseLiteral: () => refuse('an Upload must be a variable'),
  });
  builder.scalarType('TimeInput', {
    description: 'RFC 3339, epoch milliseconds (number or numeric string), or relative: now, now-6h.',
    // no field answers with one, but the schema is printed with its defaults
    serialize: (input: TimeInput) => timeInputText(input),
    parseValue: (value) => timeInput(value),
    parseLiteral: (node) =>
      timeInput(isNumber(node) ? Number(node.value) : node.kind === Kind.STRING ? node.value : null),
  });
}

function isNumber(node: ValueNode): node is IntValueNode | FloatValueNode {
  return node.kind === Kind.INT || node.kind === Kind.FLOAT;
}

function timeInput(value: unknown): TimeInput {
  return (
    parseTimeInput(value) ??
    refuse('a TimeInput is RFC 3339, epoch milliseconds, "now" or "now-6h" (ms, s, m, h, d, w)')
  );
}

function jsonObject(value: unknown): JsonObject {
  return isObject(value) ? (shallow(value) as JsonObject) : refuse('a JSONObject is a JSON object');
}

function literal(node: ValueNode, variables: unknown): unknown {
  return valueFromASTUntyped(node, isObject(variables) ? variables : undefined);
}

function shallow(value: unknown): unknown {
  return tooDeep(value, DEEPEST_JSON) ? refuse(`JSON may be ${DEEPEST_JSON} levels deep at most`) : value;
}

/** Looks no deeper than allowed, so that the walk itself is bounded. */
function tooDeep(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => tooDeep(inner, levels - 1));
}

function refuse(message: string): never {
  throw new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT' } });
}
