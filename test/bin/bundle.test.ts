/** The bundle: what has been cut out of oclif is still what has been looked at. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { leanSource, OCLIF_VERSION } from '../../scripts/bundle/oclif.ts';
import { aegis } from '../helpers/aegis.ts';

test('oclif is the version whose replacements have been checked', () => {
  const { version } = createRequire(import.meta.url)('@oclif/core/package.json') as {
    version: string;
  };
  // When this fails: read what changed in the files that scripts/bundle/oclif.ts names, see whether
  // the replacements still do, run `npm test`, then change OCLIF_VERSION.
  expect(version).toBe(OCLIF_VERSION);
});

test('the replacements still find what they replace', () => {
  const lib = 'node_modules/@oclif/core/lib';
  const changed = ['config/plugin.js', 'util/os.js', 'parser/parse.js'];
  for (const file of changed) {
    const code = readFileSync(`${lib}/${file}`, 'utf8');
    expect(leanSource(code), file).not.toBe(code);
  }
  expect(leanSource('a.id.localeCompare(b.id)')).toBe('(a.id < b.id ? -1 : a.id > b.id ? 1 : 0)');
});

test('flags, arguments, choices and defaults work in the bundle', async () => {
  expect((await aegis(['completion', 'bash'])).stdout).toContain('complete -o bashdefault');
  expect((await aegis(['completion', 'tcsh'])).stderr).toBe(
    'aegis: error: expected tcsh to be one of: bash, zsh, fish\n' +
      'aegis: hint: See: aegis completion --help\n',
  );
  expect((await aegis(['version', '--timeout', '0'])).stderr).toContain('not a length of time');
  expect((await aegis(['version', '--timeout=5s', '-qv'])).exit).toBe(0);
});

test('a short command loads nothing from node_modules', async () => {
  const trace = { NODE_OPTIONS: '--trace-require-module=no-node-modules' };
  expect((await aegis(['version'], { env: trace })).exit).toBe(0);
});

test.each([
  ['version', '--json'],
  ['node', 'status'],
  ['kb', 'ls'],
  ['consensus', 'status', '--why'],
  ['consensus', 'block', '1'],
  ['intent', 'list'],
  ['intent', 'submit', 'path', 'version'],
])('aegis %s %s loads neither a network nor a schema library', async (...args) => {
  const options = { env: { NODE_DEBUG: 'esm', AEGIS_HOME: '/nonexistent' } };
  const loaded = (await aegis(args, options)).stderr;
  const chunks = new Set(loaded.match(/dist\/[\w./-]+\.js/g));
  expect(chunks.size).toBeGreaterThan(2);
  const sizes = [...chunks].map((file) => readFileSync(file).length);
  expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThan(200_000);
});
