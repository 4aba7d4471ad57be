/**
 * `--help`, from the declarations of the commands: the summary, the usage, examples before prose.
 * Functions from declarations to text; they print nothing and load no command.
 */
import type { Command } from '@oclif/core';
import type { Colours } from './colour.ts';
import { textWidth } from './text.ts';

type Flag = Command.Flag.Cached;
type Arg = Command.Arg.Cached;

export interface HelpTopic {
  readonly name: string;
  readonly description?: string | undefined;
}

export interface HelpStyle {
  readonly paint: Colours;
  /** Columns to wrap at. */
  readonly width: number;
}

const BIN = 'aegis';
/** What a newcomer wants first, if it has been built. */
const FIRST = ['quickstart', 'init', 'node start', 'kb put', 'kb get', 'monitor'];

/** Fills the templates that declarations may use. */
export const fillTemplate = (text: string, id = ''): string =>
  text
    .replace(/<%=\s*config\.bin\s*%>/g, BIN)
    .replace(/<%=\s*command\.id\s*%>/g, id.replaceAll(':', ' '));

export const spaced = (id: string): string => id.replaceAll(':', ' ');

/** One line that says what a command is for. */
export const summaryOf = (command: Pick<Command.Cached, 'summary' | 'description'>): string =>
  fillTemplate((command.summary ?? command.description ?? '').split('\n', 1)[0]!);

/** `aegis --help`. */
export function rootHelp(
  commands: readonly Command.Cached[],
  topics: readonly HelpTopic[],
  about: string,
  style: HelpStyle,
): string {
  const shown = commands.filter((command) => !command.hidden);
  const first = FIRST.flatMap((name) => {
    const command = shown.find(({ id }) => spaced(id) === name);
    return command === undefined ? [] : [[name, summaryOf(command)] as const];
  });
  const roots = topics
    .filter(({ name }) => !name.includes(':') && shown.some(({ id }) => id.startsWith(`${name}:`)))
    .map(({ name, description }) => [name, description ?? ''] as const);
  const single = shown
    .filter(({ id }) => !id.includes(':') && !roots.some(([name]) => name === id))
    .map((command) => [spaced(command.id), summaryOf(command)] as const);
  return sections(style, [
    [undefined, about],
    ['Usage', `  ${BIN} COMMAND [arguments] [flags]`],
    ['Start here', first.length > 0 ? list(first, style) : ''],
    ['Topics', list(roots.toSorted(byName), style)],
    ['Commands', list(single.toSorted(byName), style)],
    [undefined, `${BIN} TOPIC --help and ${BIN} COMMAND --help tell more; so does man ${BIN}.`],
  ]);
}

/** `aegis kb --help`: the commands of a topic. */
export function topicHelp(
  topic: HelpTopic,
  commands: readonly Command.Cached[],
  style: HelpStyle,
): string {
  const below = commands
    .filter(({ id, hidden }) => !hidden && id.startsWith(`${topic.name}:`))
    .map((command) => [spaced(command.id), summaryOf(command)] as const);
  return sections(style, [
    [undefined, topic.description ?? ''],
    ['Usage', `  ${BIN} ${spaced(topic.name)} COMMAND [arguments] [flags]`],
    ['Commands', list(below.toSorted(byName), style)],
  ]);
}

/** `aegis kb put --help`. */
export function commandHelp(command: Command.Cached, style: HelpStyle): string {
  const flags = Object.values(command.flags)
    .filter((flag) => !flag.hidden)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const args = Object.values(command.args).filter((arg) => !arg.hidden);
  const description = fillTemplate(command.description ?? '', command.id);
  return sections(style, [
    [undefined, summaryOf(command)],
    ['Usage', `  ${usageLine(command)}`],
    ['Examples', examplesOf(command, style)],
    ['Description', description === '' ? '' : indent(wrap(description, style.width - 2), 2)],
    [
      'Arguments',
      list(
        args.map((arg) => [argName(arg), describe(arg)] as const),
        style,
      ),
    ],
    ['Flags', list(flags.filter((flag) => !isGlobal(flag)).map(flagRow), style)],
    ['Global flags', list(flags.filter(isGlobal).map(flagRow), style)],
  ]);
}

/** `aegis kb put FILE [flags]`, with what is required spelled out. */
function usageLine(command: Command.Cached): string {
  const required = Object.values(command.flags)
    .filter((flag) => flag.required && !flag.hidden)
    .map((flag) => `--${flag.name}${flag.type === 'option' ? ` ${valueName(flag)}` : ''}`);
  const args = Object.values(command.args)
    .filter((arg) => !arg.hidden)
    .map((arg) => (arg.required ? argName(arg) : `[${argName(arg)}]`) + (isMany(arg) ? '...' : ''));
  const more = command.strict === false ? ['...'] : [];
  return [BIN, spaced(command.id), ...args, ...more, ...required, '[flags]'].join(' ');
}

export const isGlobal = (flag: Flag): boolean => flag.helpGroup === 'GLOBAL';

export const argName = (arg: Arg): string => arg.name.toUpperCase();

/** Whether it may be given several times. */
export const isMany = (arg: Arg): boolean => 'multiple' in arg && arg.multiple;

/** The placeholder for a flag's value, in angle brackets. */
export function valueName(flag: Flag): string {
  if (flag.type !== 'option') return '';
  const value = Array.isArray(flag.helpValue) ? flag.helpValue[0] : flag.helpValue;
  const name = value ?? flag.options?.join('|') ?? flag.name;
  return name.includes('<') ? name : `<${name}>`;
}

/** The prose of a flag or argument with its choices, default and variable. */
export function describe(item: Flag | Arg): string {
  const facts: string[] = [];
  const options = 'options' in item ? item.options : undefined;
  if (options !== undefined) facts.push(`One of ${options.join(', ')}.`);
  const { default: standard } = item as { default?: unknown };
  if (typeof standard === 'string' || typeof standard === 'number') {
    facts.push(`Default: ${standard}.`);
  }
  if ('env' in item && item.env !== undefined) facts.push(`Environment: ${item.env}.`);
  return [fillTemplate(item.description ?? ''), ...facts].join(' ').trim();
}

function flagRow(flag: Flag): readonly [string, string] {
  const short = flag.char === undefined ? '    ' : `-${flag.char}, `;
  const value = flag.type === 'option' ? ` ${valueName(flag)}` : '';
  return [`${short}--${flag.name}${value}`, describe(flag)];
}

const byName = (a: readonly [string, string], b: readonly [string, string]): number =>
  a[0] < b[0] ? -1 : 1;

function examplesOf(command: Command.Cached, style: HelpStyle): string {
  return (command.examples ?? [])
    .map((example) =>
      typeof example === 'string' ? { description: '', command: example } : example,
    )
    .map(({ description, command: line }) => {
      const title =
        description === '' ? '' : `  ${fillTemplate(description).replace(/[.:]$/, '')}:\n`;
      return `${title}    ${style.paint.dim('$')} ${fillTemplate(line, command.id)}`;
    })
    .join('\n');
}

function sections(
  style: HelpStyle,
  parts: readonly (readonly [title: string | undefined, body: string])[],
): string {
  return parts
    .filter(([, body]) => body !== '')
    .map(([title, body]) =>
      title === undefined ? wrap(body, style.width) : `${style.paint.bold(`${title}:`)}\n${body}`,
    )
    .join('\n\n')
    .concat('\n');
}

/** Two columns; a left side that is too long gets a line of its own. */
function list(rows: readonly (readonly [string, string])[], { width }: HelpStyle): string {
  const left = Math.min(32, Math.max(0, ...rows.map(([name]) => textWidth(name))));
  return rows
    .map(([name, text]) => {
      const lines = wrap(text, Math.max(24, width - left - 4)).split('\n');
      const [first, ...rest] = textWidth(name) > left ? ['', ...lines] : lines;
      const head = `  ${name.padEnd(left)}  ${first}`.trimEnd();
      return [head, ...rest.map((line) => `${' '.repeat(left + 4)}${line}`)].join('\n');
    })
    .join('\n');
}

const indent = (text: string, by: number): string => text.replace(/^(?=.)/gm, ' '.repeat(by));

/** Breaks lines at spaces; paragraphs and lines that begin with a space stay as they are. */
export function wrap(text: string, width: number): string {
  return text
    .split('\n')
    .map((line) => (line.startsWith(' ') ? line : wrapLine(line, width)))
    .join('\n');
}

function wrapLine(line: string, width: number): string {
  const lines: string[] = [];
  let current = '';
  for (const word of line.split(' ')) {
    const longer = current === '' ? word : `${current} ${word}`;
    if (current !== '' && textWidth(longer) > width) {
      lines.push(current);
      current = word;
    } else current = longer;
  }
  return [...lines, current].join('\n');
}
