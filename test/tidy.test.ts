/**
 * The rules of the house as a test: who imports whom, what is pure, how long things are, what has a
 * help text and a man page. CONTRIBUTING.md says why each rule is there.
 */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { completeLock, type Lock } from '../scripts/lockfile.ts';
import { floorOf, importFault, PURE_FLOORS, roomOf } from './tidy/floors.ts';
import {
  FUNCTION_LINES_MAX,
  functionSizes,
  impurities,
  moduleState,
  packagesAtStart,
} from './tidy/rules.ts';
import { committedFiles, importsOf, readSource, sourcesUnder } from './tidy/sources.ts';

const FILE_LINES_MAX = 500;
const COLUMNS_MAX = 100;

const sources = sourcesUnder('src/**/*.{ts,tsx}');
const byFile = new Map(sources.map((source) => [source.file, source]));
const tests = sourcesUnder('test/**/*.{ts,tsx}');
const scripts = sourcesUnder('scripts/**/*.ts', 'bin/*.js', '*.config.ts');
const everything = [...sources, ...tests, ...scripts];

test('every room has a floor', () => {
  const rooms = new Set(sources.map(({ file }) => roomOf(file)));
  expect([...rooms].filter((room) => room === undefined || floorOf(room) === undefined)).toEqual(
    [],
  );
});

test('imports go down, never up or sideways, and use no back door', () => {
  const faults = sources.flatMap((source) =>
    importsOf(source).flatMap(({ target }) =>
      target === undefined ? [] : (importFault(source.file, target) ?? []),
    ),
  );
  expect(faults).toEqual([]);
});

test('imports name files that exist, with their extension', () => {
  const missing = everything.flatMap((source) =>
    importsOf(source)
      .filter(({ target }) => target !== undefined && !existsSync(target))
      .map(({ specifier }) => `${source.file} -> ${specifier}`),
  );
  expect(missing.filter((line) => !line.startsWith('bin/aegis.js -> ../dist/'))).toEqual([]);
});

test('only the command line knows oclif, only the monitor knows ink', () => {
  const faults = sources.flatMap((source) =>
    importsOf(source).flatMap(({ specifier }) => {
      const isCommand = roomOf(source.file) === 'commands';
      if (specifier.startsWith('@oclif/') && !isCommand) return [`${source.file}: oclif`];
      if (/^(ink|react)\b/.test(specifier) && roomOf(source.file) !== 'tui') {
        return [`${source.file}: ${specifier}`];
      }
      return [];
    }),
  );
  expect(faults).toEqual([]);
});

test('the lower floors are pure: no waiting, no clock, no randomness, no world', () => {
  const pure = sources.filter(({ file }) => {
    const floor = floorOf(roomOf(file) ?? '');
    return floor !== undefined && floor >= 0 && floor < PURE_FLOORS;
  });
  expect(pure.flatMap(impurities)).toEqual([]);
});

test('modules hold no state: many nodes can live in one process', () => {
  expect(sources.flatMap(moduleState)).toEqual([]);
});

test('no module costs a short command its start-up', () => {
  // Evaluating the ESM facade of node:http loads a whole HTTP client: 25 ms.
  const slow = ['node:http', 'node:https', 'http', 'https'];
  const facades = sources.flatMap((source) =>
    importsOf(source)
      .filter(({ specifier, kind }) => kind !== 'type' && slow.includes(specifier))
      .map(({ specifier }) => `${source.file}: ${specifier}`),
  );
  expect(facades).toEqual([]);
});

test('commands load nothing heavy before they know that they need it', () => {
  const light = /^(node:|@oclif\/core$|@noble\/(hashes|ciphers)\/|@ipld\/dag-cbor|multiformats\/)/;
  const entries = sources
    .map(({ file }) => file)
    .filter((file) => file.startsWith('src/commands/'));
  const heavy = ['src/cli/run.ts', ...entries].flatMap((entry) =>
    [...packagesAtStart(entry, byFile)]
      .filter(([specifier]) => !light.test(specifier))
      .map(([specifier, by]) => `${entry} loads ${specifier} by ${by}`),
  );
  expect(heavy).toEqual([]);
});

test('what every command loads evaluates no built-in module that is slow', () => {
  const slow = /^node:(crypto|https?|http2|tls|net|dns|readline|child_process|process|perf_hooks)$/;
  const found = ['src/cli/run.ts', 'src/cli/base.ts'].flatMap((entry) =>
    [...packagesAtStart(entry, byFile)]
      .filter(([specifier]) => slow.test(specifier))
      .map(([specifier, by]) => `${entry} loads ${specifier} by ${by}`),
  );
  expect(found).toEqual([]);
});

test('files, functions and lines stay short', () => {
  const tooLong = everything.flatMap(({ file, lines }) => {
    const wide = lines.findIndex((line) => line.length > COLUMNS_MAX);
    return [
      ...(lines.length > FILE_LINES_MAX ? [`${file}: ${lines.length} lines`] : []),
      ...(wide === -1 ? [] : [`${file}:${wide + 1}: ${lines[wide]!.length} columns`]),
    ];
  });
  const functions = [...sources, ...scripts].flatMap(functionSizes);
  const long = functions
    .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
    .map(({ at, lines }) => `${at}: a function of ${lines} lines`);
  const count = (list: readonly { readonly lines: readonly string[] }[]): number[] =>
    list.map(({ lines }) => lines.length).toSorted((a, b) => a - b);
  const at = (sorted: readonly number[], part: number): number =>
    sorted[Math.floor((sorted.length - 1) * part)] ?? 0;
  const [inSrc, inTests] = [count(sources), count(tests)];
  const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
  process.stdout.write(
    `src: ${sources.length} files, ${sum(inSrc)} lines; median ${at(inSrc, 0.5)}, ` +
      `p90 ${at(inSrc, 0.9)}, max ${at(inSrc, 1)}; ` +
      `test/src ${(sum(inTests) / sum(inSrc)).toFixed(2)}\n`,
  );
  expect([...tooLong, ...long]).toEqual([]);
});

test('nothing that is committed names a machine, a registry or a secret place', () => {
  // Written in pieces, so that this file does not find itself.
  const banned = [
    ['/wo', 'rk/'],
    ['/tmp/', 'build'],
    ['/ro', 'ot/'],
    ['/home', '/user'],
    ['registry', '\\.[a-z0-9.-]+\\.[a-z]{2,}'],
    ['artif', 'actory'],
    ['"reso', 'lved":'],
  ].map((parts) => new RegExp(parts.join('')));
  const found = committedFiles()
    .filter((file) => !/^(LICENSE|test\/vectors\/)/.test(file) && existsSync(file))
    .flatMap((file) => {
      const lines = readFileSync(file, 'utf8').split('\n');
      return lines.flatMap((line, i) =>
        banned.some((pattern) => pattern.test(line)) ? [`${file}:${i + 1}: ${line.trim()}`] : [],
      );
    });
  expect(found).toEqual([]);
  const facts = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, unknown>;
  expect(facts, 'devEngines breaks npm ci where Node is old').not.toHaveProperty('devEngines');
});

test('the lock file names the packages of every platform', () => {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock;
  const missing = Object.keys(completeLock(lock).packages).filter(
    (path) => !(path in lock.packages),
  );
  expect(missing, 'node scripts/lockfile.ts').toEqual([]);
});

test('no test is skipped, alone, or yet to be written', () => {
  const call = '\\b(test|it|describe|suite)(\\.each|\\.concurrent)*\\s*';
  const pattern = new RegExp(`${call}\\.(skip|only|todo|skipIf|runIf|fails)\\b|\\bx(it|test)\\(`);
  const found = tests.flatMap(({ file, lines }) =>
    lines.flatMap((line, i) =>
      // A missing program is the one reason; .ci/run installs them all and takes no skip.
      pattern.test(line) &&
      !/skipIf\(!(needs\(|namespaces\)|hasNetwork\))|runIf\(process\.platform/.test(line)
        ? [`${file}:${i + 1}: ${line}`]
        : [],
    ),
  );
  expect(found).toEqual([]);
});

test('nothing is left to do later', () => {
  const pattern = new RegExp(`\\b(${['TO', 'DO|FIX', 'ME|X', 'XX'].join('')})\\b`);
  const found = everything.flatMap(({ file, lines }) =>
    lines.flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : [])),
  );
  expect(found).toEqual([]);
});

test('tests mirror the sources', () => {
  const strays = tests
    .map(({ file }) => /^test\/((?:core|tui|cli)\/.*)\.test\.tsx?$/.exec(file)?.[1])
    .filter((path) => path !== undefined && path.startsWith('core/'))
    .map((path) => path!.split('/').slice(0, 2).join('/'))
    .filter((room) => !existsSync(`src/${room}`) && !existsSync(`src/${room}.ts`));
  expect([...new Set(strays)]).toEqual([]);
});

test('the versions that are written twice are equal', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  expect(readFileSync('src/cli/version.ts', 'utf8')).toContain(`'${version}'`);
  expect(readSource('bin/aegis.js').text).toContain(`VERSION = '${version}'`);
});
