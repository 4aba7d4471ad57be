/**
 * Reads JSON for merging: I-JSON (RFC 7493) without its limits of numbers, which are kept as they
 * are written. Equal values of one reader have equal ids, whatever the order of their keys, so
 * that comparing two is comparing two numbers. Refuses duplicate keys, lone surrogates, a byte
 * order mark, and more than 64 levels; says only that it is none, not why.
 */
import { MERGE_LIMITS } from './limits.ts';

export interface JsonMember {
  /** The key as it is written, with its quotes. */
  readonly rawKey: string;
  readonly value: JsonValue;
}

export interface JsonValue {
  /** Equal for equal values of one reader. */
  readonly id: number;
  /** As it is written. */
  readonly raw: string;
  readonly type: 'object' | 'array' | 'scalar';
  /** The text that it is of. */
  readonly source: JsonSource;
  readonly members: ReadonlyMap<string, JsonMember>;
  readonly items: readonly JsonValue[];
}

/** How a text is laid out, as its first object shows it. */
export interface JsonStyle {
  /** Of one level; undefined when all stands in one line. */
  readonly indent: string | undefined;
  readonly newline: string;
  readonly colon: string;
  readonly comma: string;
}

export interface JsonSource {
  /** Undefined when no object with a member shows it. */
  style: JsonStyle | undefined;
  readonly hasFinalNewline: boolean;
}

class NotJson extends Error {}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const SPACE = /[ \t\r\n]*/y;
/** Deeper indentation is as hostile as it is useless: each line would have it again. */
const INDENT_MAX = 8;
const NO_MEMBERS: ReadonlyMap<string, JsonMember> = new Map();

export class JsonReader {
  readonly #ids = new Map<string, number>();
  #text = '';
  #at = 0;
  #source: JsonSource = { style: undefined, hasFinalNewline: false };

  /** Undefined when it is not JSON. */
  read(text: string): JsonValue | undefined {
    this.#text = text;
    this.#at = 0;
    this.#source = { style: undefined, hasFinalNewline: text.endsWith('\n') };
    try {
      this.#space();
      const value = this.#value(1);
      this.#space();
      return this.#at < text.length ? undefined : value;
    } catch (error) {
      if (error instanceof NotJson) return undefined;
      throw error;
    }
  }

  #value(depth: number): JsonValue {
    const from = this.#at;
    const sign = this.#text[from];
    if (sign === '{') return this.#object(depth);
    if (sign === '[') return this.#array(depth);
    const text = sign === '"' ? JSON.stringify(this.#string()) : this.#word();
    return this.#made('scalar', text, from, {});
  }

  #object(depth: number): JsonValue {
    const from = this.#open(depth);
    const members = new Map<string, JsonMember>();
    const opening = this.#space();
    for (let isFirst = true; !this.#takes('}'); isFirst = false) {
      const comma = isFirst ? undefined : `,${this.#after(',')}`;
      const keyAt = this.#at;
      const key = this.#string();
      const rawKey = this.#text.slice(keyAt, this.#at);
      this.#space();
      const colon = `:${this.#after(':')}`;
      if (members.has(key)) throw new NotJson();
      members.set(key, { rawKey, value: this.#value(depth + 1) });
      if (depth === 1 && members.size <= 2) this.#source.style = styleOf(opening, colon, comma);
      this.#space();
    }
    const keys = [...members].map(([key, { value }]) => `${JSON.stringify(key)}:${value.id}`);
    return this.#made('object', `{${keys.toSorted(inOrder).join(',')}`, from, { members });
  }

  #array(depth: number): JsonValue {
    const from = this.#open(depth);
    const items: JsonValue[] = [];
    this.#space();
    while (!this.#takes(']')) {
      if (items.length > 0) this.#after(',');
      items.push(this.#value(depth + 1));
      this.#space();
    }
    return this.#made('array', `[${items.map(({ id }) => id).join(',')}`, from, { items });
  }

  #open(depth: number): number {
    if (depth > MERGE_LIMITS.jsonDepth) throw new NotJson();
    this.#at += 1;
    return this.#at - 1;
  }

  #made(
    type: JsonValue['type'],
    key: string,
    from: number,
    { members = NO_MEMBERS, items = [] }: Partial<Pick<JsonValue, 'members' | 'items'>>,
  ): JsonValue {
    const id = this.#ids.get(key) ?? this.#ids.size + 1;
    this.#ids.set(key, id);
    const raw = this.#text.slice(from, this.#at);
    return { id, raw, type, source: this.#source, members, items };
  }

  /** @throws {NotJson} when something else stands there. */
  #after(sign: string): string {
    if (!this.#takes(sign)) throw new NotJson();
    return this.#space();
  }

  #takes(sign: string): boolean {
    const isThere = this.#text[this.#at] === sign;
    if (isThere) this.#at += 1;
    return isThere;
  }

  #space(): string {
    return this.#match(SPACE);
  }

  #word(): string {
    return this.#match(/[-\d]/.test(this.#text[this.#at] ?? '') ? NUMBER : WORD);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) throw new NotJson();
    this.#at += found.length;
    return found;
  }

  #string(): string {
    const from = this.#at;
    if (!this.#takes('"')) throw new NotJson();
    for (;;) {
      const sign = this.#text[this.#at];
      if (sign === undefined) throw new NotJson();
      this.#at += sign === '\\' ? 2 : 1;
      if (sign === '"') break;
    }
    const value = parsedString(this.#text.slice(from, this.#at));
    if (!value.isWellFormed()) throw new NotJson();
    return value;
  }
}

/** The platform knows escapes and control characters. */
function parsedString(raw: string): string {
  try {
    return JSON.parse(raw) as string;
  } catch (error) {
    if (error instanceof SyntaxError) throw new NotJson();
    throw error;
  }
}

const inOrder = (a: string, b: string): number => (a < b ? -1 : 1);

function styleOf(opening: string, after: string, between: string | undefined): JsonStyle {
  const indent = opening.slice(opening.lastIndexOf('\n') + 1).slice(0, INDENT_MAX);
  const colon = after === ':' ? ':' : ': ';
  const comma = (between ?? after.replace(':', ',')) === ',' ? ',' : ', ';
  return {
    indent: opening.includes('\n') ? indent : undefined,
    newline: opening.includes('\r\n') ? '\r\n' : '\n',
    colon,
    comma,
  };
}
