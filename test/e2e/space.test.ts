/**
 * Goal: an operator makes room, and loses nothing that is kept (W28 to W32).
 * Setup: four daemons that keep the content of one version behind the heads.
 * Check: old contents go everywhere and say why they are gone, pins stay, room goes back to the
 * disk, what is written meanwhile stays, a full quota refuses content and not the chain, and a
 * collection may be killed.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { aegis, Cluster, type Run } from './support/cluster.ts';

const MIB = 2 ** 20;
const NODES = [1, 2, 3, 4];

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ size: 4, settings: ['kb.keepLast', '1'] });
});
afterAll(() => cluster.stop());

interface Put {
  readonly version: string;
  readonly cid: string;
}
interface Gc {
  readonly objects: number;
  readonly versions: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}
interface Space {
  readonly pins: number;
  readonly usedBytes: number;
  readonly quotaBytes: number;
  readonly lastCollection: { readonly objects: number } | null;
}

const putOn = (
  node: number,
  path: string,
  content: Uint8Array,
  ...args: string[]
): Promise<Run> => {
  const words = ['kb', 'put', '-', '--path', path, '--json', ...args];
  return aegis(['--home', cluster.node(node).home, ...words], { input: content });
};
const put = async (node: number, path: string, content: Uint8Array, ...args: string[]) => {
  const run = await putOn(node, path, content, ...args);
  expect(run.exit, String(run.stdout)).toBe(0);
  return JSON.parse(run.stdout.toString()) as Put;
};
const get = (node: number, path: string): Promise<Run> => cluster.run(node, 'kb', 'get', path);
const gc = (node: number, ...args: string[]): Promise<Gc> =>
  cluster.json<Gc>(node, 'kb', 'gc', '--yes', ...args);
const space = (node: number): Promise<Space> => cluster.json<Space>(node, 'kb', 'stat');
const codeOf = (run: Run): string =>
  (JSON.parse(run.stdout.toString()) as { error: { code: string } }).error.code;

test('old contents go, and say by which rule; pins and what is kept stay', async () => {
  const contents = Array.from({ length: 5 }, () => randomBytes(2 * MIB));
  const versions: Put[] = [];
  for (const content of contents) {
    versions.push(await put(1, 'doc', content, '--wait', 'replicated', '--replicas', '3'));
  }
  await cluster.run(1, 'kb', 'pin', `doc@${versions[0]!.version}`, '--name', 'first');
  const pins = await cluster.json<{ pins: { cid: string }[] }>(1, 'kb', 'pin', '--list');
  expect(pins.pins.map(({ cid }) => cid)).toEqual([versions[0]!.cid]);
  const dry = await gc(1, '--dry-run');
  expect(dry.versions).toBe(3);
  expect((await space(1)).lastCollection).toBeNull();
  for (const node of NODES) await gc(node);
  const { pins: count, lastCollection } = await space(1);
  expect({ count, objects: lastCollection?.objects }).toEqual({ count: 1, objects: dry.objects });
  expect(dry.objects).toBeGreaterThan(3);
  // What is kept is here or elsewhere; what is pinned is on one node.
  for (const node of NODES) {
    for (const n of [0, 3, 4]) {
      const { stdout } = await get(node, `doc@${versions[n]!.version}`);
      expect(stdout.equals(contents[n]!), `version ${n} on node ${node}`).toBe(true);
    }
    const gone = await get(node, `doc@${versions[2]!.version}`);
    expect(gone.exit).toBe(66);
    expect(gone.stderr).toContain('has been let go (kb.keepLast 1)');
  }
  // Nobody counts or fetches what nobody keeps.
  await cluster.until(
    () => Promise.all(NODES.map((node) => cluster.json(node, 'node', 'status'))),
    (all) => all.every(({ kb }) => (kb as { underReplicated: number }).underReplicated === 0),
    'no version is short of copies',
  );
  expect((await cluster.run(1, 'kb', 'unpin', 'first')).exit).toBe(0);
  for (const node of NODES) await gc(node);
  expect((await get(2, `doc@${versions[0]!.version}`)).exit).toBe(66);
}, 180_000);

test('room goes back to the disk', async () => {
  for (let n = 0; n < 3; n += 1)
    await put(2, 'large', randomBytes(12 * MIB), '--wait', 'replicated');
  const collected = await Promise.all(NODES.map((node) => gc(node)));
  const freed = collected.map(({ bytesBefore, bytesAfter }) => bytesBefore - bytesAfter);
  // Three of four have had all three contents, and keep two.
  expect(freed.filter((bytes) => bytes > 11 * MIB).length).toBeGreaterThanOrEqual(2);
}, 120_000);

test('what is written while a collection goes on stays', async () => {
  const contents = new Map<string, Buffer>();
  const over = new AbortController();
  const write = async (writer: number): Promise<void> => {
    for (let n = 0; !over.signal.aborted; n += 1) {
      const content = randomBytes(200_000);
      await put(writer, `busy/${writer}/${n}`, content, '--wait', 'local');
      contents.set(`busy/${writer}/${n}`, content);
    }
  };
  const writers = [write(1), write(2)];
  for (let round = 0; round < 3; round += 1) await Promise.all(NODES.map((node) => gc(node)));
  over.abort();
  await Promise.all(writers);
  expect(contents.size).toBeGreaterThan(4);
  await Promise.all([1, 2].map((node) => gc(node)));
  for (const [path, content] of contents) {
    const { stdout } = await cluster.run(Number(path[5]), 'kb', 'get', '--provisional', path);
    expect(stdout.equals(content), path).toBe(true);
  }
}, 180_000);

test('a collection that is killed leaves all that is kept', async () => {
  const content = randomBytes(20 * MIB);
  for (const one of [randomBytes(20 * MIB), randomBytes(20 * MIB), content]) {
    await put(3, 'killed', one, '--wait', 'replicated');
  }
  const pid = await cluster.pid(3);
  const running = cluster.run(3, 'kb', 'gc', '--yes');
  // Somewhere within: whatever of it was done stands on the disk.
  await cluster.until(
    async () => (await cluster.run(3, 'kb', 'stat', '--json')).stdout.toString(),
    (text) => text.includes('"isCollecting":true') || text.includes('"lastCollection":{'),
    'it collects',
  );
  process.kill(pid, 'SIGKILL');
  await running;
  expect((await cluster.start(3)).exit).toBe(0);
  expect((await get(3, 'killed')).stdout.equals(content)).toBe(true);
  await gc(3);
  expect((await get(3, 'killed')).stdout.equals(content)).toBe(true);
}, 120_000);

test('a full quota is collected, and refuses content with 73 but not the chain', async () => {
  const quotaBytes = 16 * MIB;
  await put(4, 'mine', randomBytes(15 * MIB), '--wait', 'local');
  expect((await cluster.run(4, 'config', 'set', 'kb.quota', '16MiB')).exit).toBe(0);
  expect((await cluster.run(4, 'node', 'stop')).exit).toBe(0);
  expect((await cluster.start(4)).exit).toBe(0);
  await cluster.connected();
  const refused = await putOn(4, 'too-much', randomBytes(24 * MIB), '--wait', 'local');
  expect([refused.exit, codeOf(refused)]).toEqual([73, 'QUOTA']);
  const small = randomBytes(1000);
  await put(1, 'small', small);
  await cluster.until(
    () => get(4, 'small'),
    ({ stdout }) => stdout.equals(small),
    'what is final elsewhere is read here',
  );
  const { used } = await cluster.until(
    async () => ({ used: await space(4) }),
    (all) => all.used.lastCollection !== null,
    'it has collected by itself',
  );
  expect(used.quotaBytes).toBe(quotaBytes);
}, 120_000);
