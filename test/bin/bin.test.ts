/** bin/aegis.js as a process: its guard for old Nodes, its exit statuses, pipes and signals. */

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { aegis, BIN, cleanEnv, run, shell } from '../helpers/aegis.ts';

const dir = mkdtempSync(join(tmpdir(), 'aegis-bin-'));
afterAll(() => rmSync(dir, { recursive: true }));
const env = { AEGIS_HOME: join(dir, 'home') };

/** A module that makes any Node.js believe something else of itself. */
const pretend = (name: string, value: string): string =>
  `data:text/javascript,${encodeURIComponent(
    `Object.defineProperty(process, '${name}', { value: ${value} });`,
  )}`;
const pretendVersion = (version: string): string =>
  pretend('versions', `{ ...process.versions, node: '${version}' }`);
/** Node.js 20 as a Debian machine has it, where there is one. */
const systemNodes = ['/usr/bin/node', '/usr/local/bin/node']
  .filter((node) => existsSync(node))
  .filter((node) => /^v(1\d|2[0-3])\./.test(spawnSync(node, ['-v'], { encoding: 'utf8' }).stdout))
  .slice(0, 1);
const oldNodes = [
  ['a pretended Node 20', [process.execPath, '--import', pretendVersion('20.19.0')]],
  ['a pretended Node 24.6', [process.execPath, '--import', pretendVersion('24.6.1')]],
  ...systemNodes.map((node) => [node, [node]] as const),
] as const;

test('--version is one line, the same from the bin and from the command', async () => {
  const quick = await aegis(['--version'], { env });
  const { version } = packageJson;
  expect(quick.stdout).toMatch(
    new RegExp(`^aegis/${version} \\w+-\\w+ node-v24\\.\\d+\\.\\d+\\n$`),
  );
  expect((await aegis(['version'], { env })).stdout).toBe(quick.stdout);
  expect((await aegis(['-q', '--version'], { env })).stdout).toBe(quick.stdout);
  expect((await aegis(['-V'], { env })).stdout).toBe(quick.stdout);
});

describe.each(oldNodes)('under %s', (_, [node, ...flags]) => {
  const old = (args: string[], more: NodeJS.ProcessEnv = {}) =>
    run(node, [...flags, BIN, ...args], { env: { ...env, ...more } });

  test('the bin hands over to the Node.js beside it', async () => {
    const { stdout, stderr, exit } = await old(['--version']);
    expect({ stderr, exit }).toEqual({ stderr: '', exit: 0 });
    expect(stdout).toMatch(/node-v24\./);
    expect((await old(['nonsense'])).exit).toBe(2);
  });

  test('it says what is missing instead of looping', async () => {
    const failed = await old(['version'], { AEGIS_REEXEC: '1' });
    expect(failed.exit).toBe(69);
    expect(failed.stderr).toMatch(
      /^aegis: error: aegis needs Node\.js 24\.7 or newer; this is v\d/,
    );
    const asJson = await old(['version', '--json'], { AEGIS_REEXEC: '1' });
    expect(JSON.parse(asJson.stdout)).toMatchObject({ error: { code: 'NODE_TOO_OLD', exit: 69 } });
  });
});

test('on Windows the bin names WSL2', async () => {
  const windows = pretend('platform', "'win32'");
  const { stderr, exit } = await run(process.execPath, ['--import', windows, BIN], { env });
  expect(exit).toBe(69);
  expect(stderr).toContain('aegis: hint: On Windows, install and run it inside WSL2.');
});

test('bin/dev.js runs the sources', async () => {
  const dev = (...args: string[]) => run(process.execPath, ['bin/dev.js', ...args], { env });
  expect((await dev('version')).stdout).toBe((await aegis(['version'])).stdout);
  expect((await dev('node', 'statuz')).stderr).toContain('Did you mean: aegis node status');
});

describe('exit statuses', () => {
  test.each([
    [['nonsense'], 2],
    [['version', '--nonsense'], 2],
    [['version', 'nonsense'], 2],
    [['completion'], 2],
    [['completion', 'tcsh'], 2],
    [['--help'], 0],
    [[], 0],
  ])('%j ends with %d', async (args, status) => {
    const text = await aegis(args, { env });
    expect(text.exit).toBe(status);
    if (status === 0) expect(text.stderr).toBe('');
    else expect(text).toMatchObject({ stdout: '' });
    if (status !== 0) expect(text.stderr).toMatch(/^aegis: error: .+\naegis: hint: .+\n$/);
  });

  test('with --json an error is one object on standard output, whatever is wrong', async () => {
    for (const args of [
      ['nonsense', '--json'],
      ['version', '--nonsense', '--json'],
    ]) {
      const { stdout, stderr, exit } = await aegis(args, { env });
      expect({ stderr, exit }).toEqual({ stderr: '', exit: 2 });
      expect(JSON.parse(stdout)).toMatchObject({ schema: 'aegis.error/1', error: { exit: 2 } });
    }
  });

  test('after -- nothing is a flag', async () => {
    const { stdout, stderr, exit } = await aegis(['completion', '--', '--json'], { env });
    expect(exit).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('expected --json to be one of');
  });
});

describe('pipes', () => {
  test.each(['--help', 'completion bash', 'completion zsh --json'])(
    'a reader that leaves early is no error: %s',
    async (args) => {
      const line = `$AEGIS ${args} | head -c 1 >/dev/null; echo "\${PIPESTATUS[0]}"`;
      expect(await shell(line, { env })).toMatchObject({ stdout: '0\n', stderr: '' });
    },
  );
});

describe('signals', () => {
  const nodes = [['this Node', [process.execPath]], ...oldNodes] as const;
  const cases = nodes.flatMap(([name, node]) => [
    { name, node, signal: 'SIGINT' as const, status: 130 },
    { name, node, signal: 'SIGTERM' as const, status: 143 },
  ]);

  test.each(cases)('$signal ends with $status under $name', async ({ node, signal, status }) => {
    // The passphrase command tells that aegis waits for it, and waits itself for standard input.
    const [program, ...flags] = node;
    const key = join(dir, 'key');
    const args = [...flags, BIN, 'keygen', '--type', 'network', '--out', key];
    const command = 'echo waiting >&2; exec cat';
    const child = spawn(program, args, {
      env: cleanEnv({ ...env, AEGIS_PASSPHRASE_COMMAND: command }),
    });
    child.stderr.once('data', () => child.kill(signal));
    const exit = await new Promise((done) => child.once('exit', (code) => done(code)));
    child.stdin.end();
    expect(exit).toBe(status);
    expect(existsSync(key)).toBe(false);
  });
});
