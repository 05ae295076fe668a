/** Reads single fields of untrusted objects; what is missing or of another type is null, never a throw. */
import { isObject, type Json, type JsonObject } from '../lib/json.ts';

export function textField(object: Record<string, unknown>, key: string): string | null {
  const value = object[key];
  return typeof value === 'string' ? value : null;
}

export function numberField(object: Record<string, unknown>, key: string): number | null {
  const value = object[key];
  return typeof value === 'number' ? value : null;
}

/** A field that holds JSON by construction, because its object came from parseLenientJson. */
export function objectField(object: Record<string, unknown>, key: string): JsonObject | null {
  return asJsonObject(object[key]);
}

export function listField(object: Record<string, unknown>, key: string): Json[] {
  const value = object[key];
  return Array.isArray(value) ? (value as Json[]) : [];
}

/** The texts of a list; everything else in it is left out. */
export function textListField(object: Record<string, unknown>, key: string): string[] {
  return listField(object, key).filter((item): item is string => typeof item === 'string');
}

export function asJsonObject(value: unknown): JsonObject | null {
  return isObject(value) ? (value as JsonObject) : null;
}
