/** What is made from the declarations of the commands: complete, well formed, committed. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { generated } from '../../scripts/generate.ts';
import { pageName } from '../../scripts/man.ts';
import type { Manifest } from '../../scripts/manifest.ts';
import { coloursFor } from '../../src/cli/colour.ts';
import { commandHelp, fillTemplate } from '../../src/cli/help.ts';
import { ROUTES } from '../../src/core/api/contract/routes.ts';
import { SETTING_KEYS } from '../../src/core/config/settings.ts';
import { needs } from '../helpers/needs.ts';

const manifest = JSON.parse(readFileSync('oclif.manifest.json', 'utf8')) as Manifest;
const commands = Object.values(manifest.commands).filter(({ hidden }) => !hidden);
const words = (id: string): string => `aegis ${id.replaceAll(':', ' ')}`;

test('the generated files are those that the sources make', async () => {
  for (const [file, text] of await generated(process.cwd())) {
    expect(readFileSync(file, 'utf8'), `${file} is stale: npm run build`).toBe(text);
  }
});

test('the generated files are committed as they are', () => {
  const files = ['man', 'completions', 'oclif.manifest.json'];
  const status = execFileSync('git', ['status', '--porcelain', '--', ...files], {
    encoding: 'utf8',
  });
  expect(status, 'commit what the build made').toBe('');
});

test('every source file of a command is in the manifest', () => {
  const ids = globSync('src/commands/**/*.ts').map((file) =>
    file
      .replace(/^src\/commands\/|\.ts$/g, '')
      .replace(/\/index$/, '')
      .replaceAll('/', ':'),
  );
  expect(ids.toSorted()).toEqual(Object.keys(manifest.commands).toSorted());
});

describe.each(commands.map((command) => [words(command.id), command] as const))(
  '%s',
  (name, command) => {
    test('says what it is for, in one short sentence', () => {
      expect(command.summary).toMatch(/^[A-Z].*\.$/);
      expect(command.summary!.length).toBeLessThanOrEqual(76);
    });

    test('has examples that run it', () => {
      expect(command.examples?.length ?? 0).toBeGreaterThan(0);
      for (const example of command.examples ?? []) {
        expect(example).toMatchObject({ description: expect.stringMatching(/\w/) });
        const line = typeof example === 'string' ? example : example.command;
        expect(fillTemplate(line, command.id)).toContain(name);
      }
    });

    test('describes its flags and arguments', () => {
      const items = [...Object.values(command.flags), ...Object.values(command.args)];
      const silent = items.filter(({ description, hidden }) => !hidden && !description);
      expect(silent.map((item) => item.name)).toEqual([]);
    });

    test('has help of at most 100 columns without templates in it', () => {
      const style = { paint: coloursFor({}, { off: true }), width: 100 };
      const text = commandHelp(command, style);
      expect(text).not.toMatch(/<%|undefined|\[object/);
    });

    test('has a man page and a transcript', () => {
      expect(existsSync(`man/${pageName(command.id)}.1`)).toBe(true);
      const transcripts = globSync(['test/transcripts/*.md', 'README.md', 'docs/**/*.md']);
      const pattern = new RegExp(`^\\s*\\$ (.*\\| *)?${name}( |$)`, 'm');
      const shown = transcripts.filter((file) => pattern.test(readFileSync(file, 'utf8')));
      expect(shown, `a console block with $ ${name}`).not.toEqual([]);
      // The harness holds what such a block prints to its schema.
      const asJson = new RegExp(`^\\s*\\$ .*aegis .*${name.slice('aegis '.length)}.*--json`, 'm');
      const json = transcripts.filter((file) => asJson.test(readFileSync(file, 'utf8')));
      expect(json, `a console block with $ ${name} --json`).not.toEqual([]);
    });
  },
);

describe('man pages', () => {
  const pages = globSync('man/*.[157]').toSorted();

  test('every page that is referred to exists', () => {
    const missing = pages.flatMap((page) =>
      [...readFileSync(page, 'utf8').matchAll(/^\.Xr (aegis\S*) (\d)/gm)]
        .filter(([, name, section]) => !existsSync(`man/${name}.${section}`))
        .map(([, name, section]) => `${page}: ${name}(${section})`),
    );
    expect(missing).toEqual([]);
  });

  test('the page of the API names every endpoint, that of the settings every setting', () => {
    const api = readFileSync('man/aegis-api.7', 'utf8');
    const endpoints = Object.values(ROUTES).map(
      ({ method, path }) => `.It Cm ${method} Pa ${path.replace(/:(\w+)/, '$1')}\n`,
    );
    expect(endpoints.filter((line) => !api.includes(line))).toEqual([]);
    const config = readFileSync('man/aegis-config.5', 'utf8');
    expect(SETTING_KEYS.filter((key) => !config.includes(`.It Cm ${key}\n`))).toEqual([]);
  });

  test.skipIf(!needs('mandoc', 'the lint of man pages'))('mandoc has nothing to say', () => {
    const { stdout, stderr } = spawnSync('mandoc', ['-T', 'lint', ...pages], { encoding: 'utf8' });
    const said = `${stdout}${stderr}`
      .split('\n')
      // It looks for references in the manual path of the system only; the test above looks here.
      .filter((line) => line !== '' && !line.includes('referenced manual not found'));
    expect(said).toEqual([]);
  });
});
