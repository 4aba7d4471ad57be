/** Text of the control protocol (control-spec 2.1): quoted strings, pairs, what is shown of it. */
import { AegisError } from '../../errors.ts';
import { TOR_LIMITS } from '../limits.ts';
import type { ControlReply } from './replies.ts';

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };
const SHOWN_CHARACTERS_MAX = TOR_LIMITS.shownCharacters;

/** As a QuotedString. Bytes beyond ASCII go as octal digits, so the line stays one of ASCII. */
export function quoted(text: string): string {
  const bytes = Buffer.from(text, 'utf8').toString('latin1');
  const escaped = bytes.replaceAll(/[\\"]/g, (mark) => `\\${mark}`);
  const octal = (byte: string): string => `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`;
  return `"${escaped.replaceAll(/[^\x20-\x7e]/g, octal)}"`;
}

/** What a QuotedString at the beginning of `text` says; undefined when there is none. */
export function unquoted(text: string): string | undefined {
  const found = /^"((?:[^"\\]|\\.)*)"/s.exec(text);
  if (found === null) return undefined;
  const bytes = found[1]!.replaceAll(/\\([0-7]{1,3}|.)/gs, (_, mark: string) => {
    if (/^[0-7]/.test(mark)) return String.fromCharCode(Number.parseInt(mark, 8) & 0xff);
    return ESCAPES[mark] ?? mark;
  });
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** `KEY=value KEY="a value"` anywhere in `text`; the first of a name counts. */
export function pairsOf(text: string): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  for (const found of text.matchAll(/(?:^| )([A-Za-z0-9_./-]+)=("(?:[^"\\]|\\.)*"|[^ ]*)/g)) {
    const [, name, value] = found as unknown as [string, string, string];
    if (!pairs.has(name)) pairs.set(name, unquoted(value) ?? value);
  }
  return pairs;
}

/** What another program said, for a message or a log: one line of printable ASCII, and not long. */
export function shown(text: string): string {
  const plain = text.replaceAll(/[^\x20-\x7e]+/g, ' ').trim();
  return plain.length <= SHOWN_CHARACTERS_MAX
    ? plain
    : `${plain.slice(0, SHOWN_CHARACTERS_MAX - 3)}...`;
}

/**
 * The answers of GETINFO, by key.
 * @throws {AegisError} `TOR_FAILED` when one is missing.
 */
export function infoOf({ lines }: ControlReply, keys: readonly string[]): Record<string, string> {
  const answers = new Map<string, string>();
  for (const { text, data } of lines) {
    const at = text.indexOf('=');
    if (at > 0) answers.set(text.slice(0, at), data ?? text.slice(at + 1));
  }
  const missing = keys.filter((key) => !answers.has(key));
  if (missing.length > 0) {
    throw new AegisError('TOR_FAILED', `Tor did not answer ${missing.join(' ')}`);
  }
  return Object.fromEntries(keys.map((key) => [key, answers.get(key)!]));
}

/** The values of GETCONF for one option, whose name Tor writes in its own letters. */
export function confOf({ lines }: ControlReply, key: string): string[] {
  return lines.flatMap(({ text }) => {
    const at = text.indexOf('=');
    if (at < 0 || text.slice(0, at).toLowerCase() !== key.toLowerCase()) return [];
    const value = text.slice(at + 1);
    return [unquoted(value) ?? value];
  });
}

/** Whether Tor says of an option what it was given. */
export const sameConf = (values: readonly string[], given: string): boolean =>
  given === '' ? values.every((value) => value === '') : values.length === 1 && values[0] === given;
