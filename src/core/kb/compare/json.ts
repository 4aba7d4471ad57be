/**
 * What two JSON values differ in, by JSON pointer (RFC 6901). Objects are compared by key, arrays
 * and scalars as a whole, as they are merged.
 */
import { pointerTo } from '../merge/json.ts';
import { JsonReader, type JsonValue } from '../merge/json-reader.ts';

export interface MemberDifference {
  readonly pointer: string;
  /** As it is written; null where there is none. */
  readonly a: string | null;
  readonly b: string | null;
}

export interface JsonDifference {
  readonly type: 'json';
  readonly members: readonly MemberDifference[];
}

/** Undefined unless both are JSON objects. */
export function compareJson(a: string, b: string): JsonDifference | undefined {
  const reader = new JsonReader();
  const [one, other] = [reader.read(a), reader.read(b)];
  if (one?.type !== 'object' || other?.type !== 'object') return undefined;
  return { type: 'json', members: [...differences(one, other, '')] };
}

function* differences(
  a: JsonValue | undefined,
  b: JsonValue | undefined,
  pointer: string,
): Generator<MemberDifference> {
  if (a?.id === b?.id) return;
  if (a?.type !== 'object' || b?.type !== 'object') {
    yield { pointer, a: a?.raw ?? null, b: b?.raw ?? null };
    return;
  }
  for (const key of new Set([...a.members.keys(), ...b.members.keys()])) {
    const [one, other] = [a.members.get(key)?.value, b.members.get(key)?.value];
    yield* differences(one, other, pointerTo(pointer, key));
  }
}
