/** Completion in the three shells, as each of them would ask. */
import { describe, expect, test } from 'vitest';
import { run } from '../helpers/aegis.ts';
import { needs } from '../helpers/needs.ts';

const words = (text: string): string[] => text.trim().split(/\s+/).filter(Boolean);

/** What a shell proposes for the words of a line, of which the last is being typed. */
type Propose = (...line: string[]) => Promise<string[]>;

const bash: Propose = async (...line) => {
  const list = line.map((word) => `'${word}'`).join(' ');
  const script =
    `source completions/aegis.bash; COMP_WORDS=(${list}); COMP_CWORD=${line.length - 1}; ` +
    '_aegis; echo "${COMPREPLY[@]}"';
  const { stdout, stderr } = await run('bash', ['--norc', '-c', script], {});
  expect(stderr).toBe('');
  return words(stdout);
};

const zsh: Propose = async (...line) => {
  // The real function; what it would hand to the line editor is printed.
  const script = `
    _describe() { local -a shown; shown=("\${(@P)@[-1]}"); print -l -- "\${(@)shown%%:*}" }
    compadd() { shift; print -l -- "$@" }
    compset() { :; }
    _files() { print FILES }
    _message() { :; }
    compdef() { :; }
    source completions/_aegis
    words=(${line.map((word) => `'${word}'`).join(' ')}); CURRENT=\${#words}
    _aegis`;
  const { stdout, stderr } = await run('zsh', ['-f', '-c', script], {});
  expect(stderr).toBe('');
  return words(stdout);
};

const fish: Propose = async (...line) => {
  const script = `source completions/aegis.fish; complete -C '${line.join(' ')}'`;
  const { stdout, stderr } = await run('fish', ['--no-config', '-c', script], {});
  expect(stderr).toBe('');
  return stdout
    .split('\n')
    .map((entry) => entry.split('\t')[0]!)
    .filter(Boolean);
};

const SHELLS: readonly (readonly [string, Propose])[] = [
  ['bash', bash],
  ['zsh', zsh],
  ['fish', fish],
];

describe.each(SHELLS)('%s', (shell, propose) => {
  describe.skipIf(!needs(shell, `completion tests of ${shell}`))('proposes', () => {
    test('topics and commands', async () => {
      const all = await propose('aegis', '');
      expect(all).toEqual(expect.arrayContaining(['kb', 'node', 'peers', 'init', 'version']));
      expect(all.join(' ')).not.toContain('--');
      const below = await propose('aegis', 'kb', '');
      expect(below).toEqual(expect.arrayContaining(['put', 'get', 'ls', 'log']));
      expect(below).not.toContain('version');
    });

    test('commands after global flags and their values', async () => {
      const below = await propose('aegis', '--home', 'here', 'kb', '');
      expect(below).toContain('put');
    });

    test('the flags of a command', async () => {
      const flags = await propose('aegis', 'kb', 'put', '--');
      expect(flags).toEqual(expect.arrayContaining(['--json', '--home', '--replicas']));
      expect(await propose('aegis', 'version', '--')).not.toContain('--replicas');
    });

    test('the values of a flag and of an argument', async () => {
      const types = ['network', 'consensus', 'session', 'onion'];
      expect(await propose('aegis', 'keygen', '--type', '')).toEqual(expect.arrayContaining(types));
      const shells = await propose('aegis', 'completion', '');
      expect(shells).toEqual(expect.arrayContaining(['bash', 'zsh', 'fish']));
    });
  });
});

test.skipIf(!needs('zsh', 'the installation in zsh'))(
  'zsh finds the function by itself',
  async () => {
    const script =
      'fpath=($PWD/completions $fpath); autoload -Uz compinit; compinit -D -u; ' +
      'print $_comps[aegis]';
    const { stdout } = await run('zsh', ['-f', '-c', script], {});
    expect(stdout).toBe('_aegis\n');
  },
);
