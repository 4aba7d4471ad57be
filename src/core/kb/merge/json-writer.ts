/** Writes merged JSON. What one side has laid out in the same way stands as it stood there. */
import type { JsonStyle, JsonValue } from './json-reader.ts';
import { MERGE_LIMITS } from './limits.ts';

/** An object that neither side has as it is. */
export interface MergedObject {
  readonly type: 'merged';
  readonly members: ReadonlyMap<string, { readonly rawKey: string; readonly value: Merged }>;
}

export type Merged = JsonValue | MergedObject;

export class JsonWriter {
  readonly #style: JsonStyle;
  #out: string[] = [];
  #length = 0;

  constructor(style: JsonStyle) {
    this.#style = style;
  }

  /** Undefined when it would be too long. */
  write(value: Merged): string | undefined {
    this.#out = [];
    this.#length = 0;
    this.#value(value, 1);
    return this.#length > MERGE_LIMITS.resultBytes ? undefined : this.#out.join('');
  }

  #value(value: Merged, depth: number): void {
    if (this.#length > MERGE_LIMITS.resultBytes) return;
    if (value.type !== 'merged' && (value.type === 'scalar' || this.#isLaidOutSo(value))) {
      this.#put(value.raw);
    } else if (value.type === 'array') {
      this.#list('[]', value.items, depth, (item) => this.#value(item, depth + 1));
    } else {
      this.#list('{}', [...value.members.values()], depth, (member) => {
        this.#put(member.rawKey + this.#style.colon);
        this.#value(member.value, depth + 1);
      });
    }
  }

  #list<T>(signs: '[]' | '{}', items: readonly T[], depth: number, write: (item: T) => void): void {
    const { indent, newline, comma } = this.#style;
    if (items.length === 0) return this.#put(signs);
    const inside = indent === undefined ? '' : newline + indent.repeat(depth);
    const between = indent === undefined ? comma : `,${inside}`;
    for (const [n, item] of items.entries()) {
      this.#put(n === 0 ? signs.charAt(0) + inside : between);
      write(item);
    }
    const end = indent === undefined ? '' : newline + indent.repeat(depth - 1);
    this.#put(end + signs.charAt(1));
  }

  #put(text: string): void {
    this.#length += text.length;
    if (this.#length <= MERGE_LIMITS.resultBytes) this.#out.push(text);
  }

  /** A value stands as deep in the merge as it stood in its side. */
  #isLaidOutSo({ source: { style } }: JsonValue): boolean {
    const { indent, newline, colon, comma } = this.#style;
    if (style === undefined || style.indent !== indent || style.newline !== newline) return false;
    return indent !== undefined || (style.colon === colon && style.comma === comma);
  }
}
