/**
 * Man pages in mdoc(7), one a command and aegis(1), from the manifest. Pages in section 5 and 7 are
 * written by hand. `mandoc -T lint` only has to say that it does not find pages that the system's
 * manual path does not hold.
 */
import type { Command } from '@oclif/core';
import {
  argName,
  describe,
  fillTemplate,
  isGlobal,
  isMany,
  spaced,
  summaryOf,
  valueName,
} from '../src/cli/help.ts';
import { ERRORS, EXIT } from '../src/core/errors.ts';
import type { Manifest } from './manifest.ts';

export interface PackageFacts {
  readonly description: string;
  readonly oclif: { readonly topics: Readonly<Record<string, { readonly description: string }>> };
}

type Flag = Command.Flag.Cached;

/** Changes when the wording of the pages does; a date of the build would never be fresh. */
const DATE = 'November 20, 2026';
const HEADER = '.\\" Made from oclif.manifest.json by scripts/man.ts; do not edit.';
/** Pages written by hand, which aegis(1) names. */
const BY_HAND = ['aegis-api 7', 'aegis-config 5'] as const;

export const pageName = (id: string): string => `aegis-${id.replaceAll(':', '-')}`;

/** All pages of section 1, by name. */
export function manPages(manifest: Manifest, facts: PackageFacts): Map<string, string> {
  const commands = Object.values(manifest.commands).filter((command) => !command.hidden);
  const pages = new Map<string, string>();
  for (const command of commands) pages.set(pageName(command.id), commandPage(command, commands));
  return pages.set('aegis', mainPage(commands, facts));
}

function commandPage(command: Command.Cached, all: readonly Command.Cached[]): string {
  const flags = Object.values(command.flags)
    .filter((flag) => !flag.hidden)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const own = flags.filter((flag) => !isGlobal(flag));
  const global = flags.filter(isGlobal);
  const args = Object.values(command.args).filter((arg) => !arg.hidden);
  const description = command.description ?? command.summary ?? '';
  return page(pageName(command.id), noStop(summaryOf(command)), [
    '.Sh SYNOPSIS',
    `.Nm aegis ${spaced(command.id)}`,
    ...own.map((flag) => (flag.required ? `.${flagMacro(flag)}` : `.Op ${flagMacro(flag)}`)),
    '.Op Ar global options',
    ...args.map((arg) => {
      const more = isMany(arg) ? ' ...' : '';
      return `.${arg.required ? '' : 'Op '}Ar ${word(argName(arg))}${more}`;
    }),
    ...(command.strict === false ? ['.Ar ...'] : []),
    '.Sh DESCRIPTION',
    fill(description, command.id),
    ...tagged(
      'The arguments are:',
      args.map((arg) => [`Ar ${word(argName(arg))}`, describe(arg)]),
    ),
    ...tagged(
      'The options are:',
      own.map((flag) => [flagMacro(flag), describe(flag)]),
    ),
    ...tagged(
      'Every command takes these global options:',
      global.map((flag) => [flagMacro(flag), describe(flag)]),
    ),
    ...environment(flags),
    '.Sh EXIT STATUS',
    'See',
    '.Xr aegis 1 .',
    ...examples(command),
    '.Sh SEE ALSO',
    references(['aegis 1', ...siblings(command, all).map((id) => `${pageName(id)} 1`)]),
  ]);
}

function mainPage(commands: readonly Command.Cached[], facts: PackageFacts): string {
  const topics = Object.entries(facts.oclif.topics)
    .filter(([name]) => commands.some(({ id }) => id.startsWith(`${name}:`)))
    .map(([name, { description }]): [string, string] => [
      `Cm ${name.replaceAll(':', ' ')}`,
      description,
    ]);
  const list = commands.map((command): [string, string] => [
    `Xr ${pageName(command.id)} 1`,
    summaryOf(command),
  ]);
  return page('aegis', noStop(facts.description.replace(/^Operator's/, "operator's")), [
    '.Sh SYNOPSIS',
    '.Nm',
    '.Ar command',
    '.Op Ar arguments',
    '.Op Ar options',
    '.Sh DESCRIPTION',
    '.Nm',
    fill(ABOUT),
    ...tagged('The topics are:', topics),
    ...tagged('The commands are:', list),
    '.Sh ENVIRONMENT',
    ...list1(ENVIRONMENT.map(([name, text]): [string, string] => [`Ev ${name}`, text])),
    '.Sh FILES',
    ...list1(FILES.map(([name, text]): [string, string] => [`Pa ${name}`, text])),
    '.Sh EXIT STATUS',
    ...list1(EXIT_STATUS.map(([status, text]): [string, string] => [String(status), text])),
    '.Pp',
    fill(ERROR_OBJECT),
    ...errorList(),
    '.Sh SEE ALSO',
    references([...commands.map(({ id }) => `${pageName(id)} 1`), ...BY_HAND]),
  ]);
}

const ABOUT =
  'runs a node of a private peer-to-peer knowledge network and talks to it. The result of a ' +
  'command goes to standard output and nothing else does; everything else goes to standard ' +
  'error. Wherever a file is named, - means standard input or output. With --json, the result ' +
  'is one object whose schema member says what it is; streams are one object a line.';

const ENVIRONMENT = [
  ['AEGIS_HOME', 'The home to use when --home is not given.'],
  ['AEGIS_PASSPHRASE_FILE', 'File that holds the passphrase.'],
  ['AEGIS_PASSPHRASE_COMMAND', 'Command whose output is the passphrase.'],
  ['AEGIS_PASSPHRASE', 'The passphrase itself; other users may see it, so aegis warns.'],
  ['CREDENTIALS_DIRECTORY', 'Set by systemd; its file aegis-passphrase is read.'],
  ['CI', 'When set, aegis never asks a question.'],
  ['NO_COLOR', 'When set, aegis prints no colours.'],
  ['FORCE_COLOR', 'When set and not 0, aegis prints colours to any stream.'],
] as const;

const FILES = [
  ['~/.config/aegis', 'Configuration, unless --home or XDG_CONFIG_HOME says otherwise.'],
  ['~/.local/share/aegis', 'Keys and data, unless --home or XDG_DATA_HOME says otherwise.'],
  ['~/.local/state/aegis', 'Logs, unless --home or XDG_STATE_HOME says otherwise.'],
] as const;

const EXIT_STATUS = [
  [EXIT.ok, 'Done.'],
  [EXIT.no, 'The command ran, and the answer is no.'],
  [EXIT.usage, 'Wrong use: an unknown command, flag or value, or a question nobody could answer.'],
  [EXIT.badData, 'Bad data: a hash, a signature, a decryption or a file is wrong.'],
  [EXIT.notFound, 'Not found, or not readable.'],
  [EXIT.unavailable, 'No daemon answers, or Node.js is too old.'],
  [EXIT.bug, 'A bug in aegis.'],
  [EXIT.exists, 'It exists already, or runs already.'],
  [EXIT.tryAgain, 'Try again: no quorum, no peers, a timeout, too few copies, a full disk.'],
  [EXIT.denied, 'Denied, or a wrong passphrase.'],
  [EXIT.badConfig, 'Bad configuration.'],
  [EXIT.interrupted, 'Interrupted by Ctrl-C.'],
  [143, 'Ended by SIGTERM.'],
] as const;

const ERROR_OBJECT =
  'With --json, an error is an object on standard output: its schema is aegis.error/1 and its ' +
  'error member has code, message, hint, exit and retryable. An unknown code must be taken for a ' +
  'failure. The codes, by exit status, are:';

function errorList(): string[] {
  const statuses = [...new Set(Object.values(ERRORS).map(({ exit }) => exit))].toSorted(
    (a, b) => a - b,
  );
  return list1(
    statuses.map((status): [string, string] => {
      const codes = Object.entries(ERRORS).filter(([, { exit }]) => exit === status);
      return [String(status), codes.map(([code]) => code).join(', ')];
    }),
  );
}

function page(name: string, about: string, body: readonly string[]): string {
  const head = [HEADER, `.Dd ${DATE}`, `.Dt ${name.toUpperCase()} 1`, '.Os'];
  return [...head, '.Sh NAME', `.Nm ${name}`, `.Nd ${escape(about)}`, ...body, ''].join('\n');
}

/** A heading line and a tag list; nothing when the list is empty. */
const tagged = (heading: string, items: readonly (readonly [string, string])[]): string[] =>
  items.length === 0 ? [] : ['.Pp', heading, ...list1(items)];

const list1 = (items: readonly (readonly [string, string])[]): string[] => [
  '.Bl -tag -width Ds',
  ...items.map(([tag, text]) => `.It ${tag}${text === '' ? '' : `\n${fill(text)}`}`),
  '.El',
];

function environment(flags: readonly Flag[]): string[] {
  const named = flags.filter((flag) => flag.env !== undefined);
  if (named.length === 0) return [];
  const items = named.map((flag) => [`Ev ${flag.env}`, `The same as --${flag.name}.`] as const);
  return ['.Sh ENVIRONMENT', ...list1(items)];
}

function examples(command: Command.Cached): string[] {
  const lines = (command.examples ?? []).flatMap((example) => {
    const { description, command: line } =
      typeof example === 'string' ? { description: '', command: example } : example;
    const title = description === '' ? [] : ['.Pp', fill(`${noStop(fillTemplate(description))}:`)];
    return [...title, `.Dl $ ${escape(fillTemplate(line, command.id))}`];
  });
  // A section must not begin with a paragraph break.
  return lines.length === 0 ? [] : ['.Sh EXAMPLES', ...lines.slice(lines[0] === '.Pp' ? 1 : 0)];
}

function siblings(command: Command.Cached, all: readonly Command.Cached[]): string[] {
  const [topic] = command.id.split(':');
  const others = all.map(({ id }) => id).filter((id) => id !== command.id);
  return others.filter((id) => id === topic || id.startsWith(`${topic}:`));
}

/** `Xr name section` lines: by section, then by name, as mandoc wants them. */
function references(pages: readonly string[]): string {
  const section = (name: string): string => name.slice(-1);
  const key = (name: string): string => `${section(name)} ${name}`;
  const sorted = pages.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
  return sorted.map((name, i) => `.Xr ${name}${i < sorted.length - 1 ? ' ,' : ''}`).join('\n');
}

function flagMacro(flag: Flag): string {
  const names = [...(flag.char === undefined ? [] : [`Fl ${flag.char}`]), `Fl \\-${flag.name}`];
  const value =
    flag.type === 'option' ? ` Ns = Ns Ar ${word(valueName(flag).replace(/[<>]/g, ''))}` : '';
  return `${names.join(' , ')}${value}`;
}

const noStop = (text: string): string => text.replace(/[.:]$/, '');

/** Backslashes, and hyphens that must stay hyphens when copied. */
const escape = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('…', '...')
    .replace(/(?<![\w])-/g, '\\-');

/** A word on a macro line; quoted when mdoc would take it for a macro or punctuation. */
const word = (text: string): string =>
  /^[A-Z][a-z]$|^[.,:;()[\]?!|]$|[\s"]/.test(text)
    ? `"${escape(text).replaceAll('"', '\\(dq')}"`
    : escape(text);

/** Prose: paragraphs, one sentence a line at least, at most 78 bytes, never a control line. */
function fill(text: string, id = ''): string {
  return fillTemplate(text, id)
    .trim()
    .split(/\n{2,}/)
    .map((paragraph) =>
      paragraph
        .replace(/\s+/g, ' ')
        .replace(/([.!?])\s+(?=\S)/g, '$1\n')
        .split('\n')
        .map((sentence) => breakLine(escape(sentence)))
        .join('\n'),
    )
    .join('\n.Pp\n');
}

function breakLine(sentence: string): string {
  const lines: string[] = [];
  let current = '';
  for (const next of sentence.split(' ')) {
    const longer = current === '' ? next : `${current} ${next}`;
    if (current !== '' && Buffer.byteLength(longer) > 78) {
      lines.push(current);
      current = next;
    } else current = longer;
  }
  return [...lines, current].map((line) => line.replace(/^(?=[.'])/, '\\&')).join('\n');
}
