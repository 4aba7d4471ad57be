/** The commands that talk to a daemon, as processes, against the real server. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { outputSchemas } from '../../scripts/openapi.ts';
import { AegisError } from '../../src/core/errors.ts';
import { type Harness, harness, scratch } from '../core/api/harness.ts';
import { chunks, OTHER } from '../core/api/memory-backend.ts';
import { hex } from '../core/api/memory-chain.ts';
import { aegis, type Outcome, type RunOptions, shell } from '../helpers/aegis.ts';

const CHANGE = { path: 'x', version: 'b', parents: [], generation: 1, deleted: false };
/** As the memory backend makes it. */
const INTENT = hex(JSON.stringify([CHANGE]));

let h: Harness;
let validate: (schema: string, value: unknown) => string;
const run = (args: string[], options?: RunOptions): Promise<Outcome> =>
  aegis([...args, '--home', h.directory], options);

beforeAll(async () => {
  h = await harness({ home: true });
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  for (const [name, schema] of await outputSchemas('.')) ajv.addSchema(schema, name);
  validate = (name, value) => (ajv.validate(name, value) ? '' : ajv.errorsText());
});
afterAll(() => h[Symbol.asyncDispose]());
beforeEach(async () => {
  h.backend.stored.clear();
  h.backend.onGet = undefined;
  await h.client.call('intents.submit', { body: { intents: [{ changes: [CHANGE] }] } });
  await h.client.put({ path: 'notes.md' }, { kind: 'file', bytes: chunks(Buffer.from('hello\n')) });
});

const put = (): string => {
  const path = join(h.directory, 'put.txt');
  writeFileSync(path, 'text');
  return path;
};

const smallTree = (): string => {
  const path = join(h.directory, 'many');
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'a.txt'), 'text');
  return path;
};

it.each<[string, () => string[]]>([
  ['node.status', () => ['node', 'status']],
  ['node.info', () => ['node', 'info']],
  ['node.wait', () => ['node', 'wait', '--for', 'peers=1']],
  ['node.stop', () => ['node', 'stop', '--no-wait']],
  ['node.wait', () => ['node', 'wait', '--for', 'height=0']],
  ['peers.list', () => ['peers']],
  ['peers.list', () => ['peers', 'list']],
  ['peers.show', () => ['peers', 'show', 'bob']],
  ['peers.add', () => ['peers', 'add', '/ip4/127.0.0.1/tcp/4005']],
  ['peers.remove', () => ['peers', 'remove', 'bob']],
  ['peers.ping', () => ['peers', 'ping', 'bob', '-c', '2']],
  ['peers.find', () => ['peers', 'find', 'bob']],
  ['peers.why', () => ['peers', 'why', 'bob']],
  ['consensus.status', () => ['consensus', 'status']],
  ['consensus.status', () => ['consensus', 'status', '--why']],
  ['consensus.blocks', () => ['consensus', 'blocks', '-n', '1', '--from', '1']],
  ['consensus.block', () => ['consensus', 'block', '1']],
  ['consensus.validators', () => ['consensus', 'validators']],
  ['consensus.explain', () => ['consensus', 'explain', '1']],
  ['consensus.evidence', () => ['consensus', 'evidence']],
  ['intents.submit', () => ['intent', 'submit', 'a', 'bafy', '--parent', 'b', '--generation', '2']],
  ['intents.list', () => ['intent', 'list', '--status', 'final']],
  ['intents.show', () => ['intent', 'show', INTENT]],
  ['kb.put', () => ['kb', 'put', put(), '--path', 'a/b', '-m', 'why']],
  ['kb.get', () => ['kb', 'get', 'notes.md', '-o', join(h.directory, 'got.md'), '--force']],
  [
    'kb.get',
    () => ['kb', 'get', 'notes.md', '-o', join(h.directory, 'now.md'), '-f', '--linearizable'],
  ],
  ['kb.ls', () => ['kb', 'ls', '-r']],
  ['kb.log', () => ['kb', 'log', 'notes.md']],
  ['kb.each', () => ['kb', 'put', smallTree(), '--each']],
  ['kb.revert', () => ['kb', 'revert', 'notes.md', '-m', 'why']],
  ['kb.rm', () => ['kb', 'rm', 'notes.md', '--wait', 'local']],
  ['kb.diff', () => ['kb', 'diff', 'notes.md', 'other.md', '-U', '1']],
  ['kb.stat', () => ['kb', 'stat', 'notes.md']],
  ['kb.where', () => ['kb', 'where', 'notes.md']],
  ['tor.status', () => ['tor', 'status']],
  ['tor.route', () => ['tor', 'route']],
  ['tor.check', () => ['tor', 'check']],
  ['tor.circuits', () => ['tor', 'circuits', '--streams']],
  ['tor.newnym', () => ['tor', 'newnym', '--peer', 'bob']],
  ['tor.onion', () => ['tor', 'onion', 'clients']],
  ['tor.renew', () => ['tor', 'onion', 'renew']],
])('%s: one JSON object by its schema, and plain text', async (name, args) => {
  const json = await run([...args(), '--json']);
  expect([json.exit, json.stderr]).toEqual([0, '']);
  const schema = `aegis.${name}/1`;
  const value = JSON.parse(json.stdout) as { schema: string };
  expect(value.schema).toBe(schema);
  expect(validate(schema, value)).toBe('');
  const plain = await run(args());
  expect(plain.exit).toBe(0);
  expect(plain.stdout).toMatch(/\S/);
  expect(plain.stdout).not.toMatch(/undefined|null|NaN|\[object/);
});

it('gives errors of the daemon their exit status, as text and as JSON', async () => {
  const text = await run(['peers', 'show', 'zed\u001b']);
  expect(text).toMatchObject({ exit: 66, stdout: '' });
  expect(text.stderr).toBe('aegis: error: no peer "zed\\u001b"\n');
  const json = await run(['kb', 'stat', 'nothing', '--json']);
  expect([json.exit, json.stderr]).toEqual([66, '']);
  expect(validate('aegis.error/1', JSON.parse(json.stdout))).toBe('');
});

it('says that there is no daemon', async () => {
  await using empty = await scratch();
  for (const args of [['node', 'status'], ['kb', 'ls'], ['peers'], ['api', 'GET', '/v1/node']]) {
    const outcome = await aegis([...args, '--home', empty.directory]);
    expect(outcome).toMatchObject({ exit: 69, stdout: '' });
    expect(outcome.stderr).toContain('Start one: aegis node start');
  }
  const wait = await aegis(['node', 'wait', '--timeout', '200ms', '--home', empty.directory]);
  expect(wait.exit).toBe(69);
  const logs = await aegis(['node', 'logs', '--home', empty.directory]);
  expect(logs.exit).toBe(66);
});

it('refuses words that mean nothing', async () => {
  const wrong = [
    ['node', 'wait', '--for', 'godot'],
    ['node', 'wait', '--for', 'height=-1'],
    ['consensus', 'block', 'last'],
    ['consensus', 'explain', '01'],
    ['consensus', 'blocks', '-n', '0'],
    ['intent', 'submit', 'path'],
    ['intent', 'submit', 'path', 'version', '--file', 'f'],
    ['intent', 'show', 'zzz'],
    ['kb', 'get', 'notes.md', '--linearizable', '--provisional'],
    ['kb', 'put', '-'],
    ['kb', 'where'],
    ['kb', 'where', 'a', '--cid', 'b'],
    ['kb', 'get', 'notes.md', '--json'],
    ['peers', 'add', 'localhost'],
    ['tor', 'route', 'both'],
    ['tor', 'firewall'],
    ['kb', 'import', 'notes.md'],
    ['node', 'logs', '--since', 'yesterday'],
  ];
  for (const args of wrong) expect(await run(args), args.join(' ')).toMatchObject({ exit: 2 });
});

it('puts and gets files, directories and standard input byte for byte', async () => {
  const tree = join(h.directory, 'tree');
  mkdirSync(join(tree, 'empty'), { recursive: true });
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7) % 251));
  writeFileSync(join(tree, 'blob'), bytes);
  writeFileSync(join(tree, 'new\nline'), '');
  expect(await run(['kb', 'put', tree])).toMatchObject({ exit: 0, stderr: '' });
  const copy = join(h.directory, 'copy');
  expect(await run(['kb', 'get', 'tree', '-o', copy])).toMatchObject({ exit: 0 });
  expect(readdirSync(copy).toSorted()).toEqual(['blob', 'empty', 'new\nline']);
  expect(readFileSync(join(copy, 'blob'))).toEqual(bytes);
  expect(await run(['kb', 'get', 'tree', '-o', copy])).toMatchObject({ exit: 73 });
  expect(await run(['kb', 'get', 'tree'])).toMatchObject({ exit: 2 });

  const line = `printf 'a\\0b' | $AEGIS kb put - --path p && $AEGIS kb get p | od -An -c`;
  const piped = await shell(line, { env: { AEGIS_HOME: h.directory } });
  expect(piped.stdout).toMatch(/a {2}\\0 {3}b\n$/);
});

it('leaves nothing when the content breaks off', async () => {
  h.backend.onGet = async () => ({
    path: 'x',
    cid: 'b',
    version: 'b',
    kind: 'file',
    final: true,
    height: 3,
    sizeBytes: 400_000,
    bytes: (async function* () {
      for (let part = 0; part < 3; part += 1) yield Buffer.alloc(100_000);
      throw new AegisError('BAD_HASH', 'object bafk is not what its name says');
    })(),
  });
  const before = readdirSync(h.directory);
  const outcome = await run(['kb', 'get', 'x', '-o', join(h.directory, 'half')]);
  expect(outcome).toMatchObject({ exit: 65 });
  expect(outcome.stderr).toContain('bafk is not what its name says');
  expect(readdirSync(h.directory)).toEqual(before);
});

it('stores nothing of what cannot be read whole', async () => {
  const outcome = await run(['kb', 'put', join(h.directory, 'missing')]);
  expect(outcome).toMatchObject({ exit: 66 });
  expect(await run(['kb', 'put', '/dev/null'])).toMatchObject({ exit: 65 });
  expect([...h.backend.stored.keys()]).toEqual(['notes.md']);
});

it('ends quietly when its reader has read enough', async () => {
  const big = Buffer.alloc(5_000_000, 'line\n');
  await h.client.put({ path: 'big' }, { kind: 'file', bytes: chunks(big) });
  const line = '$AEGIS kb get big | head -1; echo "${PIPESTATUS[0]}"';
  const outcome = await shell(line, { env: { AEGIS_HOME: h.directory } });
  expect(outcome).toMatchObject({ stdout: 'line\n0\n', stderr: '' });
});

it('ends at once on Ctrl-C, with 130', async () => {
  h.backend.onWait = (_wanted, { signal }) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const waiting = h.backend.signals.length;
  let kill = (): void => undefined;
  const outcome = run(['node', 'wait'], {
    onSpawn: (child) => (kill = () => child.kill('SIGINT')),
  });
  await expect.poll(() => h.backend.signals.length, { timeout: 10_000 }).toBe(waiting + 1);
  kill();
  expect(await outcome).toMatchObject({ exit: 130 });
  await expect.poll(() => h.backend.signals.at(-1)?.aborted).toBe(true);
});

it('sends raw requests, bodies and streams', async () => {
  const get = await run(['api', 'get', '/v1/node']);
  expect(JSON.parse(get.stdout)).toMatchObject({ schema: 'aegis.node.status/1' });
  const input = '{"address":"/ip4/127.0.0.1/tcp/1"}';
  const post = await run(['api', 'POST', '/v1/peers', '--body', '-'], { input });
  expect(JSON.parse(post.stdout)).toMatchObject({ schema: 'aegis.peers.add/1' });
  const content = await run(['api', 'GET', '/v1/kb/content?path=notes.md']);
  expect(content.stdout).toBe('hello\n');
  expect(await run(['api', 'GET', '/v1/nothing'])).toMatchObject({ exit: 66, stdout: '' });
  expect(await run(['api', 'GET', 'v1 node'])).toMatchObject({ exit: 2 });
  const missing = ['api', 'POST', '/v1/peers', '--body', join(h.directory, 'missing')];
  expect(await run(missing)).toMatchObject({ exit: 66 });
});

it('shows the log of a node that is down', async () => {
  const logs = join(h.directory, 'logs');
  mkdirSync(logs, { recursive: true });
  const time = '2026-11-20T12:00:00.000Z';
  const line = (level: string, message: string): string =>
    `${JSON.stringify({ level, time, room: 'kb', message, fields: { peer: OTHER } })}\n`;
  writeFileSync(join(logs, 'node.log'), line('info', 'one') + line('error', 'two'));
  const plain = await run(['node', 'logs', '--level', 'warn']);
  expect(plain.stdout).toBe(`${time} error kb        two peer=${OTHER}\n`);
  const json = await run(['node', 'logs', '--json', '-n', '1']);
  expect(validate('aegis.node.logs/1', JSON.parse(json.stdout))).toBe('');
  expect((await run(['node', 'logs', '--since', '1s'])).stdout).toBe('');
});
