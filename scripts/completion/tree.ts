/** What the three shells complete, read from the manifest. */
import type { Command } from '@oclif/core';
import { spaced, summaryOf, valueName } from '../../src/cli/help.ts';
import type { PackageFacts } from '../man.ts';
import type { Manifest } from '../manifest.ts';

export interface Choice {
  readonly word: string;
  readonly about: string;
}

/** What may follow a flag or stand as an argument. */
export type Value =
  | { readonly type: 'choice'; readonly choices: readonly string[] }
  | { readonly type: 'file' }
  | { readonly type: 'other' };

export interface FlagWords {
  readonly name: string;
  readonly char: string | undefined;
  readonly about: string;
  /** Undefined for a flag without a value. */
  readonly value: Value | undefined;
}

export interface CompletionTree {
  /** Every command and topic, its words joined by a space. */
  readonly names: readonly string[];
  /** The words that may follow a topic; the key of the root is the empty string. */
  readonly next: ReadonlyMap<string, readonly Choice[]>;
  readonly flags: ReadonlyMap<string, readonly FlagWords[]>;
  readonly arguments: ReadonlyMap<string, Value>;
  /** Global flags with a value, as they are typed; they may stand before the command. */
  readonly globalsWithValue: readonly string[];
}

export function completionTree(manifest: Manifest, facts: PackageFacts): CompletionTree {
  const commands = Object.values(manifest.commands).filter((command) => !command.hidden);
  const next = new Map<string, Choice[]>();
  const names = new Set<string>();
  for (const command of commands) {
    const words = command.id.split(':');
    words.forEach((word, i) => {
      const above = words.slice(0, i).join(' ');
      const id = words.slice(0, i + 1).join(':');
      names.add(spaced(id));
      const choices = next.get(above) ?? [];
      if (choices.some((choice) => choice.word === word)) return;
      const topic = facts.oclif.topics[id]?.description;
      const own = commands.find((other) => other.id === id);
      const about = topic ?? (own === undefined ? '' : summaryOf(own));
      next.set(above, [...choices, { word, about: plain(about) }]);
    });
  }
  const flags = new Map(commands.map((command) => [spaced(command.id), flagsOf(command)]));
  return {
    names: [...names],
    next,
    flags,
    arguments: new Map(commands.map((command) => [spaced(command.id), argumentOf(command)])),
    globalsWithValue: globalsWithValue(commands),
  };
}

function flagsOf(command: Command.Cached): FlagWords[] {
  const shown = Object.values(command.flags).filter((flag) => !flag.hidden);
  const flags = shown.map((flag) => ({
    name: flag.name,
    char: flag.char,
    about: plain(flag.summary ?? flag.description ?? ''),
    value:
      flag.type === 'option' ? valueOf(flag.options, `${flag.name} ${valueName(flag)}`) : undefined,
  }));
  const help = { name: 'help', char: 'h', about: 'Show help', value: undefined };
  return [...flags, help].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function argumentOf(command: Command.Cached): Value {
  const [arg] = Object.values(command.args);
  return arg === undefined ? { type: 'other' } : valueOf(arg.options, arg.name);
}

function valueOf(options: readonly string[] | undefined, name: string): Value {
  if (options !== undefined) return { type: 'choice', choices: options };
  return /file|dir|output|genesis|bundle/i.test(name) ? { type: 'file' } : { type: 'other' };
}

function globalsWithValue(commands: readonly Command.Cached[]): string[] {
  const flags = commands.flatMap((command) => Object.values(command.flags));
  const global = flags.filter((flag) => flag.helpGroup === 'GLOBAL' && flag.type === 'option');
  const words = global.flatMap(({ name, char }) => [
    `--${name}`,
    ...(char === undefined ? [] : [`-${char}`]),
  ]);
  return [...new Set(words)].toSorted();
}

const plain = (text: string): string => text.split('\n', 1)[0]!.replace(/\.$/, '');

/** A word for any of the three shells, in single quotes. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
