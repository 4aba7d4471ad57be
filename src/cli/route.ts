/**
 * From words to a command: `aegis --home H kb put x` is the command `kb:put` with the rest.
 * Global flags may stand before the command; the longest command name wins. Pure.
 */
import { AegisError } from '../core/errors.ts';
import { nearest } from './suggest.ts';
import { safeText } from './text.ts';

/** What the router must know of the command tree; ids are joined by colons. */
export interface CommandTree {
  readonly commands: readonly string[];
  readonly topics: readonly string[];
}

export type Route =
  | { readonly type: 'version' }
  | { readonly type: 'help'; readonly id: string | undefined }
  | { readonly type: 'command'; readonly id: string; readonly argv: readonly string[] };

/** The ids that have commands below them; oclif's own list holds every command as well. */
export const topicsOf = (commands: readonly string[]): string[] => [
  ...new Set(
    commands.flatMap((id) => {
      const words = id.split(':');
      return words.slice(1).map((_, i) => words.slice(0, i + 1).join(':'));
    }),
  ),
];

/** Global flags that take the next word as their value. */
const WITH_VALUE = ['--home', '-H', '--timeout'];
const HELP = ['--help', '-h'];
const VERSION = ['--version', '-V'];

/** The words before `--`, where flags may stand. */
export function flagWords(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return end === -1 ? argv : argv.slice(0, end);
}

/** @throws USAGE for an unknown command, with the nearest known one as its hint. */
export function routeOf(argv: readonly string[], tree: CommandTree): Route {
  const start = firstWord(argv);
  const flagsBefore = argv.slice(0, start);
  const words = argv.slice(start);
  if (flagsBefore.some((flag) => VERSION.includes(flag))) return { type: 'version' };
  const wantsHelp = flagWords(argv).some((word) => HELP.includes(word));
  if (words[0] === 'help') return helpRoute(words.slice(1), tree);
  if (words.length === 0) return { type: 'help', id: undefined };
  if (wantsHelp) return helpRoute(words, tree);
  const length = commandLength(words, tree.commands);
  if (length === 0) {
    if (isTopic(words, tree)) return helpRoute(words, tree);
    throw unknownCommand(words, tree);
  }
  const rest = words.slice(length);
  // `keys shwo` must not become the command `keys` with an argument that it refuses.
  if (isMistypedVerb(words, length, tree)) throw unknownCommand(words, tree);
  return {
    type: 'command',
    id: words.slice(0, length).join(':'),
    argv: [...flagsBefore, ...rest],
  };
}

function firstWord(argv: readonly string[]): number {
  let i = 0;
  while (i < argv.length && argv[i]!.startsWith('-') && argv[i] !== '--') {
    i += WITH_VALUE.includes(argv[i]!) ? 2 : 1;
  }
  return Math.min(i, argv.length);
}

/** How many of the first words name a command; the longest name wins. */
function commandLength(words: readonly string[], commands: readonly string[]): number {
  const names = namePart(words);
  for (let length = names.length; length > 0; length -= 1) {
    if (commands.includes(names.slice(0, length).join(':'))) return length;
  }
  return 0;
}

/** The words before the first flag. */
function namePart(words: readonly string[]): readonly string[] {
  const end = words.findIndex((word) => word.startsWith('-'));
  return end === -1 ? words : words.slice(0, end);
}

function isTopic(words: readonly string[], tree: CommandTree): boolean {
  const names = namePart(words);
  return names.length > 0 && tree.topics.includes(names.join(':'));
}

function isMistypedVerb(words: readonly string[], length: number, tree: CommandTree): boolean {
  const id = words.slice(0, length).join(':');
  const next = namePart(words)[length];
  return next !== undefined && tree.topics.includes(id);
}

function helpRoute(words: readonly string[], tree: CommandTree): Route {
  const names = namePart(words);
  if (names.length === 0) return { type: 'help', id: undefined };
  if (isTopic(words, tree)) return { type: 'help', id: names.join(':') };
  const length = commandLength(names, tree.commands);
  if (length === 0 || isMistypedVerb(names, length, tree)) throw unknownCommand(names, tree);
  return { type: 'help', id: names.slice(0, length).join(':') };
}

function unknownCommand(words: readonly string[], tree: CommandTree): AegisError<'USAGE'> {
  const names = namePart(words);
  const known = [...tree.commands, ...tree.topics].map((id) => id.replaceAll(':', ' '));
  let topic = names.length - 1;
  while (topic > 0 && !tree.topics.includes(names.slice(0, topic).join(':'))) topic -= 1;
  const typed = names.slice(0, topic + 1).join(' ');
  const meant =
    nearest(typed, known) ??
    (topic === 0 ? nearest(names.slice(0, 2).join(' '), known) : undefined);
  const place = topic > 0 ? `aegis ${names.slice(0, topic).join(' ')} --help` : 'aegis --help';
  return new AegisError('USAGE', `no command ${safeText(typed)}`, {
    hint: meant === undefined ? `See all commands: ${place}` : `Did you mean: aegis ${meant}`,
  });
}
