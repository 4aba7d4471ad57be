/** Turns the text of a query into declared types and checks it; also JSON bodies. */
import * as v from 'valibot';
import { AegisError } from '../../errors.ts';
import { TEXT_LENGTH_MAX } from '../contract/values.ts';

/** Longer values are not repeated in the message about them. */
const RECEIVED_LENGTH_MAX = 64;

type ObjectSchema = v.StrictObjectSchema<v.ObjectEntries, undefined>;

/** @throws {AegisError} `BAD_REQUEST` naming the parameter. */
export function parseQuery(schema: ObjectSchema, search: string): Record<string, unknown> {
  // Without a prototype: a parameter may have any name.
  const values = Object.create(null) as Record<string, unknown>;
  for (const [name, text] of pairs(search)) {
    if (Object.hasOwn(values, name)) {
      throw new AegisError('BAD_REQUEST', `the parameter ${name} is given twice`);
    }
    const entry = Object.hasOwn(schema.entries, name) ? schema.entries[name] : undefined;
    values[name] = entry === undefined ? text : convert(entry, text);
  }
  return checked(schema, values, 'parameter');
}

/** @throws {AegisError} `BAD_REQUEST` naming the field. */
export function parseBody(schema: ObjectSchema, body: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    throw new AegisError('BAD_REQUEST', 'the body is not JSON in UTF-8', { cause });
  }
  return checked(schema, value, 'field');
}

/** Percent-decoding that refuses what is not UTF-8, and takes `+` literally (RFC 3986). */
function decodeText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new AegisError('BAD_REQUEST', 'a value is not percent-encoded UTF-8', { cause });
  }
}

function* pairs(search: string): Generator<[string, string]> {
  if (search === '') return;
  for (const pair of search.split('&')) {
    const at = pair.indexOf('=');
    const name = decodeText(at === -1 ? pair : pair.slice(0, at));
    const text = decodeText(at === -1 ? '' : pair.slice(at + 1));
    if (name.length > 64 || text.length > TEXT_LENGTH_MAX) {
      throw new AegisError('BAD_REQUEST', 'a parameter is too long');
    }
    yield [name, text];
  }
}

/** The type that the declaration wants decides; what does not fit is left for the check. */
function convert(entry: unknown, text: string): unknown {
  let schema = entry as { type: string; wrapped?: unknown };
  while (schema.wrapped !== undefined) schema = schema.wrapped as typeof schema;
  if (schema.type === 'number' && /^-?\d{1,15}(?:\.\d{1,6})?$/.test(text)) return Number(text);
  if (schema.type === 'boolean' && (text === 'true' || text === '1' || text === '')) return true;
  if (schema.type === 'boolean' && (text === 'false' || text === '0')) return false;
  return text;
}

function checked(schema: ObjectSchema, value: unknown, noun: string): Record<string, unknown> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const issue = result.issues[0];
  const name = v.getDotPath(issue);
  const where = name === null ? `the ${noun}s` : `the ${noun} ${JSON.stringify(name)}`;
  throw new AegisError('BAD_REQUEST', `${where}: ${complaint(issue)}`);
}

/** What is wrong in plain words, and never the value at length: it may be a whole file. */
function complaint({ type, message, received }: v.BaseIssue<unknown>): string {
  if (type === 'non_empty') return 'it is empty';
  if (received.length <= RECEIVED_LENGTH_MAX) return message;
  return message.replace(/:? ?(?:but r|R)eceived [\s\S]*$/, '');
}
