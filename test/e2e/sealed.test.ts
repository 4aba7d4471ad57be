/**
 * Goal: what is put is read by its readers and by nobody else: not from a disk, not by a member
 * that it is not sealed to, not after it was shredded (W42 to W46).
 * Setup: three custodians and an agent. Check: by the commands of operators, and the files.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Result } from '../../src/core/api/contract/endpoints.ts';
import { readSealedRoot } from '../../src/core/model/sealed.ts';
import { Cluster, type Run } from './support/cluster.ts';
import { storedBytes } from './support/store.ts';

const NODES = [1, 2, 3, 4];
const AGENT = 4;
const SECRET = 'words that stand in no file of any node';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ size: 4, agents: 1 });
});
afterAll(async () => {
  await cluster?.stop();
});

async function put(node: number, path: string, text: string, ...flags: string[]) {
  const file = join(cluster.dir, 'content');
  writeFileSync(file, text);
  const what = ['--path', path, '--timeout', '60s', ...flags];
  return await cluster.json<Result<'kb.put'>>(node, 'kb', 'put', file, ...what);
}

const get = (node: number, path: string): Promise<Run> => cluster.run(node, 'kb', 'get', path);

const stat = (node: number, path: string) =>
  cluster.json<Result<'kb.stat'>>(node, 'kb', 'stat', path);

async function expectRead(node: number, path: string, text: string): Promise<void> {
  const { exit, stdout, stderr } = await get(node, path);
  expect(exit, stderr).toBe(0);
  expect(stdout.toString()).toBe(text);
}

/** The files of a node's content, with their log. */
const diskOf = (node: number): Buffer =>
  Buffer.concat(
    ['', '-wal'].map((end) => readFileSync(join(cluster.home(node).data, `content.db${end}`))),
  );

const keyOf = (cid: string): string =>
  readSealedRoot(storedBytes(cluster.node(1).home, cid)!).key.toString();

test('every member reads what is put, and the disks do not have its words', async () => {
  const { cid } = await put(1, 'sealed', SECRET);
  for (const node of NODES) await expectRead(node, 'sealed', SECRET);
  for (const node of NODES) expect(diskOf(node).includes(SECRET), `node ${node}`).toBe(false);
  expect(await stat(2, 'sealed')).toMatchObject({
    sealed: true,
    readers: [{ name: 'the readers of the cluster (epoch 0)' }],
    sizeBytes: SECRET.length,
  });
  // W44: the same content under the key of its path is the same content.
  expect(await put(2, 'sealed', SECRET)).toMatchObject({ cid, created: false });
  const { cid: later } = await put(2, 'sealed', `${SECRET}, later`);
  expect(keyOf(later)).toBe(keyOf(cid));
  const { cid: other } = await put(1, 'other', SECRET);
  expect(keyOf(other)).not.toBe(keyOf(cid));
});

test('--plain is not sealed, and the words are on the disk', async () => {
  const text = 'words that may stand anywhere';
  await put(1, 'plain', text, '--plain');
  await expectRead(2, 'plain', text);
  expect(await stat(1, 'plain')).toMatchObject({ sealed: false, readers: null });
  expect(diskOf(1).includes(text)).toBe(true);
});

test('who is not named reads nothing, and is told who can', async () => {
  await put(1, 'for-two', SECRET, '--encrypt-to', 'node1', '--encrypt-to', 'node2');
  await expectRead(1, 'for-two', SECRET);
  await expectRead(2, 'for-two', SECRET);
  const { exit, stdout, stderr } = await get(AGENT, 'for-two');
  expect([exit, stdout.length]).toEqual([77, 0]);
  expect(stderr).toMatch(/sealed to (node1, node2|node2, node1)/);
  const nobody = await cluster.run(
    1,
    'kb',
    'put',
    join(cluster.dir, 'content'),
    '--encrypt-to',
    'nobody',
  );
  expect(nobody.exit).toBe(66);
});

test('what is shredded is gone from every node, also from one that was away', async () => {
  const { cid } = await put(1, 'shred', SECRET);
  for (const node of NODES) await expectRead(node, 'shred', SECRET);
  const key = keyOf(cid);
  await cluster.devnet.kill(`node${AGENT}`);
  const done = await cluster.json<Result<'kb.rm'>>(2, 'kb', 'shred', 'shred', '--yes');
  expect(done.height).toBeGreaterThan(0);
  await cluster.start(AGENT);
  const holds = (node: number) => storedBytes(cluster.node(node).home, key) !== undefined;
  await cluster.until(
    () => NODES.filter(holds),
    (holders) => holders.length === 0,
    'no node has the key',
  );
  const { stdout } = await cluster.run(1, 'kb', 'log', 'shred', '--json');
  const { versions } = JSON.parse(stdout.toString()) as Result<'kb.log'>;
  for (const node of [1, AGENT]) {
    const { exit, stderr } = await get(node, `shred@${versions.at(-1)!.version}`);
    expect(exit, stderr).toBe(66);
    expect(stderr).toContain('was shredded');
  }
  await put(3, 'shred', 'something new');
  await expectRead(1, 'shred', 'something new');
});

test('after a member has left there is another key; what was there stays', async () => {
  const left = await cluster.run(AGENT, 'cluster', 'leave', '--yes');
  expect(left.exit, left.stderr).toBe(0);
  await cluster.until(
    async () => (await cluster.run(2, 'kb', 'stat', '.aegis/readers/1')).exit,
    (exit) => exit === 0,
    "the readers' key of epoch 1 is known",
  );
  await cluster.until(
    async () => {
      await put(2, 'after', `${SECRET} ${Date.now()}`);
      return (await stat(2, 'after')).readers?.[0]?.name;
    },
    (name) => name === 'the readers of the cluster (epoch 1)',
    'node 2 seals to the readers that are left',
  );
  for (const node of [1, 2, 3]) {
    expect((await get(node, 'after')).exit).toBe(0);
    await expectRead(node, 'sealed', `${SECRET}, later`);
  }
});
