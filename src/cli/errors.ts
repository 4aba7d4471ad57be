/**
 * Errors as people and programs see them. Everything that a command throws comes through here once:
 * `aegis: error:` and `aegis: hint:` on standard error, or one JSON object on standard output.
 */
import { AegisError, toAegisError } from '../core/errors.ts';
import { coloursFor } from './colour.ts';
import { exitOf } from './interruption.ts';
import { nearest } from './suggest.ts';
import { safeText } from './text.ts';

export interface ErrorView {
  readonly json: boolean;
  readonly noColour: boolean;
  /** Shows the stack of a bug. */
  readonly verbose: boolean;
  /** The command that ran, as typed, e.g. `kb put`; undefined when none was found. */
  readonly command?: string | undefined;
  /** Long names of the flags of that command, for suggestions. */
  readonly flags?: readonly string[] | undefined;
}

export interface ErrorText {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number;
}

/** What oclif's parse errors carry; its classes lose their names when bundled. */
interface ParseFacts {
  readonly message: string;
  readonly oclif?: { readonly exit?: number };
  readonly flags?: unknown;
  readonly args?: unknown;
}

/** Turns anything thrown into what is printed and returned. */
export function presentError(thrown: unknown, view: ErrorView): ErrorText {
  const error = toOperatingError(thrown, view);
  const exit = exitOf(error);
  if (exit === 0) return { stdout: '', stderr: '', exit };
  if (view.json) {
    const body = { schema: 'aegis.error/1', error: { ...error.toBody(), exit } };
    return { stdout: `${JSON.stringify(body)}\n`, stderr: '', exit };
  }
  const paint = coloursFor(process.stderr, { off: view.noColour });
  const lines = [`aegis: ${paint.red('error:')} ${tame(error.message)}`];
  if (error.code === 'BUG' && view.verbose) lines.push(tame(stackOf(error)));
  const hint = hintOf(error, view);
  if (hint !== undefined) lines.push(`aegis: ${paint.cyan('hint:')} ${tame(hint)}`);
  return { stdout: '', stderr: `${lines.join('\n')}\n`, exit };
}

const tame = (text: string): string => text.split('\n').map(safeText).join('\n');

function stackOf(error: AegisError): string {
  const cause = error.cause instanceof Error ? error.cause : error;
  return cause.stack ?? String(cause);
}

function hintOf(error: AegisError, view: ErrorView): string | undefined {
  if (error.code !== 'BUG') return error.hint;
  return view.verbose
    ? 'This is a bug in aegis. Please report it with the lines above and aegis version.'
    : 'This is a bug in aegis. Please report it with what --verbose shows and aegis version.';
}

function toOperatingError(thrown: unknown, view: ErrorView): AegisError {
  if (thrown instanceof AegisError) return withoutWrapping(thrown);
  if (thrown instanceof Error) {
    // A prompt that was left with Ctrl-C, or an operation whose signal was aborted.
    if (thrown.name === 'ExitPromptError' || thrown.name === 'AbortError') {
      if (thrown.cause instanceof AegisError) return thrown.cause;
      return new AegisError('INTERRUPTED', 'interrupted');
    }
    if ((thrown as ParseFacts).oclif !== undefined) return usageError(thrown, view);
  }
  return toAegisError(thrown);
}

/** oclif writes around the message of an error that a flag's own parser throws. */
function withoutWrapping(error: AegisError): AegisError {
  const [, flag, why] =
    /^Parsing (--\S+) \n\t(.*)\nSee more help with --help$/s.exec(error.message) ?? [];
  if (flag === undefined) return error;
  const { code, hint, details } = error;
  const options = { details, cause: error, ...(hint === undefined ? {} : { hint }) };
  return new AegisError(code, `${flag}: ${why}`, options);
}

/** Gives oclif's complaints about flags and arguments the voice of aegis. */
function usageError(parse: ParseFacts, view: ErrorView): AegisError<'USAGE'> {
  const see = `See: aegis ${view.command === undefined ? '' : `${view.command} `}--help`;
  if (isTexts(parse.flags) && parse.flags.length > 0) {
    const flag = parse.flags[0]!;
    const known = (view.flags ?? []).map((name) => `--${name}`);
    const meant = nearest(flag.replace(/=.*/, ''), known);
    return new AegisError('USAGE', `unknown flag ${flag}`, {
      hint: meant === undefined ? see : `Did you mean ${meant}? ${see}`,
    });
  }
  if (isTexts(parse.args)) {
    return new AegisError('USAGE', `unexpected argument ${parse.args.join(' ')}`, { hint: see });
  }
  if (isNamed(parse.args)) {
    const names = parse.args.map((arg) => arg.name.toUpperCase()).join(' ');
    return new AegisError('USAGE', `missing argument ${names}`, { hint: see });
  }
  return new AegisError('USAGE', plainMessage(parse.message), { hint: see });
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string');

const isNamed = (value: unknown): value is readonly { readonly name: string }[] =>
  Array.isArray(value) && value.every((item: { name?: unknown }) => typeof item.name === 'string');

function plainMessage(message: string): string {
  const text = message
    .replace(/\u001b\[\d*m/g, '')
    .replace(/\nSee more help with --help$/, '')
    .replace(/^The following errors? occurred:\s*/, '')
    .replace(/^Missing required flag (\S+)$/gm, 'missing flag --$1')
    .replace(/\s*\n\s*/g, '; ')
    .trim();
  return text.charAt(0).toLowerCase() + text.slice(1);
}
