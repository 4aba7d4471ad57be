import { expect, test } from 'vitest';
import { routeOf, topicsOf } from '../../src/cli/route.ts';
import { AegisError } from '../../src/core/errors.ts';

const commands = [
  'version',
  'kb:put',
  'kb:get',
  'peers',
  'peers:show',
  'node:status',
  'node:start',
];
const tree = { commands, topics: topicsOf(commands) };
const route = (line: string) => routeOf(line === '' ? [] : line.split(' '), tree);

test('topics are what has commands below it', () => {
  expect(tree.topics).toEqual(['kb', 'peers', 'node']);
});

test.each([
  ['kb put notes.md --json', 'kb:put', ['notes.md', '--json']],
  ['--home H kb put x', 'kb:put', ['--home', 'H', 'x']],
  ['--home=H -q kb put x', 'kb:put', ['--home=H', '-q', 'x']],
  ['-H H --timeout 3s node status', 'node:status', ['-H', 'H', '--timeout', '3s']],
  ['peers', 'peers', []],
  ['peers --json', 'peers', ['--json']],
  ['peers show alice', 'peers:show', ['alice']],
  ['kb put -- --help', 'kb:put', ['--', '--help']],
  ['kb put -', 'kb:put', ['-']],
  ['version kb', 'version', ['kb']],
])('%s', (line, id, argv) => {
  expect(route(line)).toEqual({ type: 'command', id, argv });
});

test.each([
  ['', undefined],
  ['--help', undefined],
  ['-h', undefined],
  ['help', undefined],
  ['kb', 'kb'],
  ['kb --help', 'kb'],
  ['help kb put', 'kb:put'],
  ['kb put --help', 'kb:put'],
  ['kb put notes.md -h', 'kb:put'],
  ['peers --help', 'peers'],
])('help: %s', (line, id) => {
  expect(route(line)).toEqual({ type: 'help', id });
});

test('version', () => {
  expect(route('--version')).toEqual({ type: 'version' });
  expect(route('-V')).toEqual({ type: 'version' });
  expect(route('--json --version')).toEqual({ type: 'version' });
});

test.each([
  ['vresion', 'no command vresion', 'Did you mean: aegis version'],
  ['node statuz', 'no command node statuz', 'Did you mean: aegis node status'],
  ['kb putt notes.md', 'no command kb putt', 'Did you mean: aegis kb put'],
  ['peers shwo alice', 'no command peers shwo', 'Did you mean: aegis peers show'],
  ['kbb put', 'no command kbb', 'Did you mean: aegis kb'],
  ['frobnicate', 'no command frobnicate', 'See all commands: aegis --help'],
  ['kb frobnicate', 'no command kb frobnicate', 'See all commands: aegis kb --help'],
  ['help kb frobnicate', 'no command kb frobnicate', 'See all commands: aegis kb --help'],
  ['\u001b[2J', 'no command \\u001b[2J', 'See all commands: aegis --help'],
])('unknown: %s', (line, message, hint) => {
  let error: unknown;
  try {
    route(line);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(AegisError);
  expect(error).toMatchObject({ code: 'USAGE', message, hint, exit: 2 });
});
