/**
 * Three-way merge of JSON objects by key. Arrays and scalars are atomic. A value that both sides
 * changed in different ways is a conflict of the whole; its pointer (RFC 6901) is told.
 */
import { JsonReader, type JsonStyle, type JsonValue } from './json-reader.ts';
import { JsonWriter, type Merged, type MergedObject } from './json-writer.ts';
import { MERGE_LIMITS } from './limits.ts';

export type JsonMerge =
  | { readonly type: 'clean'; readonly text: string }
  | { readonly type: 'conflict'; readonly pointers: readonly string[] };

const PLAIN: JsonStyle = { indent: '  ', newline: '\n', colon: ': ', comma: ', ' };

/** One level down in a JSON pointer. */
export const pointerTo = (above: string, key: string): string =>
  `${above}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;

/**
 * `first` gives order and indentation. Undefined when a side, or the base where there is one, is
 * no JSON object.
 */
export function mergeJson(
  base: string | undefined,
  first: string,
  second: string,
): JsonMerge | undefined {
  const reader = new JsonReader();
  const [a, b] = [readObject(reader, first), readObject(reader, second)];
  if (a === undefined || b === undefined) return undefined;
  // An empty file is what an object is made from.
  const o = readObject(reader, base === undefined || base.trim() === '' ? '{}' : base);
  if (o === undefined) return undefined;
  const merge = new Merge();
  const merged = merge.objects(o, a, b, '');
  if (merge.pointers.length > 0) return { type: 'conflict', pointers: merge.pointers };
  const style = a.source.style ?? b.source.style ?? PLAIN;
  const text = new JsonWriter(style).write(merged);
  // Laid out as one side is, the other may be much longer than it was.
  if (text === undefined) return { type: 'conflict', pointers: [] };
  return { type: 'clean', text: text + (a.source.hasFinalNewline ? style.newline : '') };
}

function readObject(reader: JsonReader, text: string): JsonValue | undefined {
  const value = reader.read(text);
  return value?.type === 'object' ? value : undefined;
}

class Merge {
  /** Where the sides conflict, the first of them. */
  readonly pointers: string[] = [];

  /** Key by key even where one side is unchanged: it may give order and indentation. */
  objects(o: JsonValue | undefined, a: JsonValue, b: JsonValue, pointer: string): MergedObject {
    const members = new Map<string, { rawKey: string; value: Merged }>();
    for (const key of new Set([...a.members.keys(), ...b.members.keys()])) {
      const [mine, other] = [a.members.get(key), b.members.get(key)];
      const from = o?.members.get(key)?.value;
      const value = this.#values(from, mine?.value, other?.value, pointerTo(pointer, key));
      if (value !== undefined) members.set(key, { rawKey: (mine ?? other)!.rawKey, value });
    }
    return { type: 'merged', members };
  }

  /** `a` is of the first side: where both are equal it is as that has written it. */
  #values(
    o: JsonValue | undefined,
    a: JsonValue | undefined,
    b: JsonValue | undefined,
    pointer: string,
  ): Merged | undefined {
    if (a?.id === b?.id || o?.id === b?.id) return a;
    if (o?.id === a?.id) return b;
    if (a?.type === 'object' && b?.type === 'object') return this.objects(o, a, b, pointer);
    if (this.pointers.length < MERGE_LIMITS.conflicts) this.pointers.push(pointer);
    return a;
  }
}
