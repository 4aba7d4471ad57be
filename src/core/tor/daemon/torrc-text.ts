/**
 * Lines of a torrc. What comes from settings or paths is quoted as tor reads it, and whatever could
 * begin a line of its own is refused. It knows no option of tor and touches no file.
 */
import { AegisError } from '../../errors.ts';

/**
 * One line: the option, and its value as a quoted string of C, in which nothing but the quotes,
 * the backslash and the end of the line mean anything.
 *
 * @throws {AegisError} `BAD_CONFIG` when the value has a control character.
 */
export function torrcLine(option: string, value: string | number): string {
  const text = String(value);
  if (!/^[A-Za-z_0-9%]+$/.test(option)) {
    throw new AegisError('BAD_CONFIG', `${JSON.stringify(option)} is no option of tor`);
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (/[\u0000-\u001f\u007f]/.test(text)) {
    const message = `the value of ${option} for tor has a line break or another control character`;
    throw new AegisError('BAD_CONFIG', message);
  }
  return `${option} ${quoted(text)}`;
}

/** `unix:"/a b/c"`, as the values of SocksPort and ControlPort want a path. */
export const unixAddress = (path: string): string => `unix:${quoted(path)}`;

const quoted = (text: string): string => `"${text.replace(/["\\]/g, (sign) => `\\${sign}`)}"`;
