/** Reads single fields of untrusted objects; what is missing or of another type is null, never a throw. */
import { isObject, type Json, type JsonObject } from '../lib/json.ts';

export function textField(object: Record<string, unknown>, key: string): string | null {
  const value = object[key];
  return typeof value === 'string' ? value : null;
}

const LONGEST_NAME = 300;

/** A name or an id, cut where no honest one is that long: it is kept and shown. */
export function nameField(object: Record<string, unknown>, key: string): string | null {
  return textField(object, key)?.slice(0, LONGEST_NAME) ?? null;
}

export function numberField(object: Record<string, unknown>, key: string): number | null {
  const value = object[key];
  return typeof value === 'number' ? value : null;
}

/** A count, a size or a moment: null unless it is a whole number from 0 that keeps its value wherever it is stored. */
export function wholeField(object: Record<string, unknown>, key: string): number | null {
  const value = numberField(object, key);
  return value !== null && Number.isSafeInteger(value) && value >= 0 ? value : null;
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
