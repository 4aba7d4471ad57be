import { globSync, readFileSync } from 'node:fs';
import type { Command } from '@oclif/core';
import { expect, test } from 'vitest';
import { coloursFor } from '../../src/cli/colour.ts';
import { commandHelp, rootHelp, topicHelp, wrap } from '../../src/cli/help.ts';

const style = { paint: coloursFor({}, { off: true }), width: 80 };

const declare = (id: string, more: object = {}): Command.Cached => ({
  id,
  aliases: [],
  hiddenAliases: [],
  hidden: false,
  args: {},
  flags: {},
  ...more,
});

const put = declare('kb:put', {
  summary: 'Store a document.',
  description: 'Long words about <%= command.id %>.',
  examples: [{ description: 'Store a file', command: '<%= config.bin %> kb put notes.md' }],
  args: { file: { name: 'file', required: true, description: 'What to store.' } },
  flags: {
    json: { name: 'json', type: 'boolean', helpGroup: 'GLOBAL', description: 'As JSON.' },
    replicas: { name: 'replicas', type: 'option', char: 'r', default: 3, description: 'Copies.' },
    hash: { name: 'hash', type: 'option', options: ['blake3', 'sha2-256'], description: 'Hash.' },
    secret: { name: 'secret', type: 'boolean', hidden: true },
  },
});

test('the help of a command: summary, usage, examples, then the rest', () => {
  expect(commandHelp(put, style)).toMatchInlineSnapshot(`
    "Store a document.

    Usage:
      aegis kb put FILE [flags]

    Examples:
      Store a file:
        $ aegis kb put notes.md

    Description:
      Long words about kb put.

    Arguments:
      FILE  What to store.

    Flags:
          --hash <blake3|sha2-256>  Hash. One of blake3, sha2-256.
      -r, --replicas <replicas>     Copies. Default: 3.

    Global flags:
          --json  As JSON.
    "
  `);
});

test('the help of a topic lists what is below it', () => {
  const text = topicHelp(
    { name: 'kb', description: 'Documents.' },
    [put, declare('version')],
    style,
  );
  expect(text).toContain('kb put  Store a document.');
  expect(text).not.toContain('version');
});

test('the first help names only commands that exist, and hides the hidden', () => {
  const commands = [put, declare('version', { summary: 'V.' }), declare('x', { hidden: true })];
  const text = rootHelp(commands, [{ name: 'kb', description: 'Documents.' }], 'About.', style);
  expect(text).toContain('Start here:\n  kb put  Store a document.\n');
  expect(text).toContain('Topics:\n  kb  Documents.\n');
  expect(text).toContain('Commands:\n  version  V.\n');
  expect(text).not.toContain('quickstart');
});

test('wrapping keeps words and indented lines whole', () => {
  expect(wrap('one two three', 7)).toBe('one two\nthree');
  expect(wrap('  $ a long command line stays', 7)).toBe('  $ a long command line stays');
  expect(wrap('unbreakable', 4)).toBe('unbreakable');
});

// In a loop over lines it would take all the others for its own.
test('an argument that may be left out is never taken from standard input', () => {
  const declared = globSync('src/{cli,commands}/**/*.ts').flatMap((file) => {
    const found = readFileSync(file, 'utf8').matchAll(/Args\.\w+\(\{.*?\}\)/gs);
    return [...found].map(([text]) => ({ file, text }));
  });
  expect(declared.length).toBeGreaterThan(10);
  const optional = declared.filter(({ text }) => !text.includes('required: true'));
  expect(optional.filter(({ text }) => !text.includes('ignoreStdin: true'))).toEqual([]);
});
