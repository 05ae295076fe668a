/** The schema builder: its types, and nothing of the schema. Each buildSchema() makes a new one, so importing a noun does nothing. */
import SchemaBuilder from '@pothos/core';
import type { Json, JsonObject } from '../lib/json.ts';
import type { GraphqlContext } from './context.ts';
import type { IncomingFile } from './incoming-file.ts';
import type { TimeInput } from './time-input.ts';

export interface SchemaTypes {
  Context: GraphqlContext;
  DefaultFieldNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: never; Output: number };
    JSON: { Input: Json; Output: Json };
    JSONObject: { Input: JsonObject; Output: JsonObject };
    Upload: { Input: IncomingFile; Output: never };
    TimeInput: { Input: TimeInput; Output: never };
  };
}

export function createBuilder() {
  return new SchemaBuilder<SchemaTypes>({ defaultFieldNullability: false });
}

export type Builder = ReturnType<typeof createBuilder>;
