/**
 * Goal: secrets stay in the keystore.
 * Setup: a whole life of a node, made by hand with `init`, at the most talkative log level, with
 * every kind of failure that has a passphrase in it.
 * Check: no output, log, file, command line or environment holds a passphrase or a secret key.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resolveHome } from '../../src/core/config/home.ts';
import { keyPath } from '../../src/core/keys/layout.ts';
import { openKey } from '../../src/core/keys/open-key.ts';
import { Unlocker } from '../../src/core/keys/unlocker.ts';
import { needs } from '../helpers/needs.ts';
import { aegis, type Run, type RunOptions } from './support/cluster.ts';
import { visibleOf } from './support/processes.ts';

const PASSPHRASES = {
  first: `first-${randomBytes(12).toString('hex')}`,
  second: `second-${randomBytes(12).toString('hex')}`,
  wrong: `wrong-${randomBytes(12).toString('hex')}`,
} as const;
type Name = keyof typeof PASSPHRASES;

let dir: string;
let home: string;
/** Where passphrases lie on purpose. */
let safe: string;
const outputs: { readonly command: string; readonly bytes: Buffer }[] = [];
const visible: { readonly pid: number; readonly bytes: Buffer }[] = [];
let daemon: number | undefined;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-e2e-'));
  home = join(dir, 'home');
  safe = mkdtempSync(join(tmpdir(), 'aegis-e2e-safe-'));
  for (const name of Object.keys(PASSPHRASES) as Name[]) {
    writeFileSync(join(safe, name), `${PASSPHRASES[name]}\n`, { mode: 0o600 });
  }
});
afterAll(async () => {
  await aegis(['--home', home, 'node', 'stop']);
  for (const each of [dir, safe]) rmSync(each, { recursive: true, force: true });
});

const file = (name: Name): string[] => ['--passphrase-file', join(safe, name)];

/** Runs it, remembers all that it said, and looks at what others could see of it meanwhile. */
async function live(exit: number, args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const run = await aegis(['--home', home, ...args], {
    ...options,
    onSpawn: ({ pid }) => pid !== undefined && look(pid),
  });
  outputs.push({
    command: args.join(' '),
    bytes: Buffer.concat([run.stdout, Buffer.from(run.stderr)]),
  });
  expect(run.exit, `${args.join(' ')}: ${run.stderr}${String(run.stdout)}`).toBe(exit);
  return run;
}

function look(pid: number): void {
  const { cmdline, environ } = visibleOf(pid);
  visible.push({ pid, bytes: Buffer.concat([cmdline, environ]) });
}

async function started(): Promise<void> {
  const run = await live(0, ['node', 'start', '--detach', '--json', ...file('second')]);
  daemon = (JSON.parse(String(run.stdout)) as { pid: number }).pid;
  look(daemon);
}

test.skipIf(!needs('/proc/self/environ', 'what others see of a process'))(
  'a whole life of a node',
  async () => {
    const listen = ['--listen', '/ip4/127.0.0.1/tcp/0'];
    await live(0, ['init', '--name', 'alice', ...listen, ...file('first'), '--verbose']);
    await live(73, ['init', '--name', 'alice', ...file('first')]);
    await live(0, ['config', 'set', 'log.level', 'debug']);
    await live(2, ['keys', 'passwd', '--no-input']);
    await live(77, [
      'keys',
      'passwd',
      ...file('wrong'),
      '--new-passphrase-file',
      join(safe, 'second'),
    ]);
    await live(0, [
      'keys',
      'passwd',
      ...file('first'),
      '--new-passphrase-file',
      join(safe, 'second'),
    ]);
    for (const json of [[], ['--json']]) {
      await live(0, ['keys', 'list', ...json]);
      await live(0, ['keys', 'show', 'identity', ...json]);
      await live(0, ['keys', 'export', '--public', ...json]);
      await live(0, ['config', 'list', ...json]);
    }
    const clear = ['keys', 'export', '--secret', '--unencrypted', '--yes'];
    await live(77, [...clear, '--out', join(dir, 'clear.json'), ...file('wrong')]);
    await live(0, ['keys', 'export', '--secret', '--out', join(dir, 'encrypted.json')]);
    const keygen = ['keygen', '--type', 'network', '--out', join(dir, 'stand-alone.json')];
    await live(0, [...keygen, ...file('second')]);
    await live(0, [
      'cluster',
      'bundle',
      '--out',
      join(dir, 'me'),
      '--no-address',
      ...file('second'),
    ]);
    await live(0, ['cluster', 'create', join(dir, 'me'), '--name', 'c', '--out', join(dir, 'g')]);
    await live(0, ['cluster', 'join', join(dir, 'g')]);
    await live(77, ['node', 'start', ...file('wrong')]);
    await live(77, ['node', 'start', '--detach', '--json', '--verbose', ...file('wrong')]);
    const inEnv = { AEGIS_PASSPHRASE_COMMAND: `cat ${join(safe, 'wrong')}` };
    await live(77, ['node', 'start'], { env: inEnv });
    await live(0, ['node', 'start', '--dry-run', ...file('second')]);
    await started();
    await live(73, ['node', 'start', ...file('second')]);
    const put = ['kb', 'put', '-', '--path', 'note', '--wait', 'local'];
    await live(0, put, { input: Buffer.from('a note') });
    for (const words of ['kb get note', 'kb ls', 'kb log note', 'kb where note', 'kb stat note']) {
      await live(0, words.split(' '));
    }
    for (const words of ['node status', 'node info', 'peers', 'api GET /v1/node', 'doctor']) {
      await live(0, [...words.split(' '), '--json']);
    }
    await live(0, ['monitor', '--once']);
    await live(0, ['node', 'logs', '--level', 'debug']);
    await live(0, ['node', 'stop']);
    await started();
    process.kill(daemon!, 'SIGKILL');
    await started();
    await live(0, ['node', 'stop']);
    // The environment is a bad place, and says so. What is started goes without it.
    const start = ['--home', home, 'node', 'start', '--detach', '--json'];
    const warned = await aegis(start, { env: { AEGIS_PASSPHRASE: PASSPHRASES.second } });
    expect(warned.exit, warned.stderr).toBe(0);
    expect(warned.stderr).toContain('AEGIS_PASSPHRASE');
    outputs.push({ command: 'with AEGIS_PASSPHRASE', bytes: Buffer.from(warned.stderr) });
    look((JSON.parse(String(warned.stdout)) as { pid: number }).pid);
  },
);

/** Every secret in the forms in which it could get out. */
async function secrets(): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  const add = (name: string, bytes: Buffer): void => {
    found.set(name, bytes);
    found.set(`${name} in hex`, Buffer.from(bytes.toString('hex')));
    found.set(`${name} in base64`, Buffer.from(bytes.toString('base64').replace(/=+$/, '')));
    found.set(`${name} in base64url`, Buffer.from(bytes.toString('base64url')));
  };
  for (const [name, text] of Object.entries(PASSPHRASES)) add(name, Buffer.from(text));
  const { keys } = resolveHome({ home, env: {} });
  using unlocker = new Unlocker(PASSPHRASES.second);
  for (const role of ['identity', 'next', 'network'] as const) {
    const { secret } = await openKey(keyPath(keys, role), unlocker);
    add(role, Buffer.from(secret));
  }
  const { readToken, adminToken } = resolveHome({ home, env: {} });
  for (const path of [readToken, adminToken]) {
    found.set('token', readFileSync(path));
  }
  return found;
}

function filesBelow(top: string): string[] {
  return (readdirSync(top, { recursive: true }) as string[])
    .map((name) => join(top, name))
    .filter((path) => statSync(path).isFile());
}

test('nothing of it can be seen', async () => {
  const { readToken, adminToken, logs } = resolveHome({ home, env: {} });
  expect(filesBelow(logs).length).toBeGreaterThan(1);
  expect(outputs.length).toBeGreaterThan(40);
  const tokens = new Set([readToken, adminToken]);
  const places = [
    ...outputs.map(({ command, bytes }) => ({ place: `output of ${command}`, bytes })),
    ...visible.map(({ pid, bytes }) => ({ place: `process ${pid}`, bytes })),
    ...filesBelow(dir).map((path) => ({ place: path, bytes: readFileSync(path) })),
  ];
  const leaks: string[] = [];
  for (const [name, secret] of await secrets()) {
    expect(secret.length, name).toBeGreaterThan(20);
    for (const { place, bytes } of places) {
      if (tokens.has(place) && name === 'token') continue;
      if (bytes.includes(secret)) leaks.push(`${name}: ${place}`);
    }
  }
  expect(leaks).toEqual([]);
});

test('files and directories of a home are for their owner only', () => {
  chmodSync(dir, 0o700);
  const open = (readdirSync(home, { recursive: true }) as string[])
    .map((name) => join(home, name))
    .filter((path) => (statSync(path).mode & 0o077) !== 0);
  expect(open).toEqual([]);
});
