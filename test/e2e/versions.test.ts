/**
 * Goal: a path has a history, and nobody's version is lost.
 * Setup: two daemons.
 * Check: repeated and changed content, compare-and-swap, and two nodes that wrote while apart.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { aegis, Cluster, type Run } from './support/cluster.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ size: 2 });
});
afterAll(() => cluster.stop());

const kb = (node: number, ...args: string[]): Promise<Run> => cluster.run(node, 'kb', ...args);
const expectDone = ({ exit, stderr }: Run): void => expect(exit, stderr).toBe(0);

interface Put {
  readonly version: string;
  readonly generation: number;
  readonly created: boolean;
}
interface Log {
  readonly heads: number;
  readonly versions: readonly {
    readonly version: string;
    readonly shown: boolean;
    readonly head: boolean;
    readonly authorName: string | null;
    readonly parents: readonly string[];
  }[];
}
const put = async (node: number, path: string, text: string, ...args: string[]) => {
  const home = ['--home', cluster.node(node).home];
  const run = await aegis([...home, 'kb', 'put', '-', '--path', path, '--json', ...args], {
    input: Buffer.from(text),
  });
  return { run, reply: JSON.parse(run.stdout.toString()) as Put };
};

test('the same again changes nothing; a change has a history', async () => {
  const first = await put(1, 'doc', 'one');
  expect(first.reply).toMatchObject({ created: true, generation: 1 });
  const again = await put(1, 'doc', 'one');
  expect(again.reply).toMatchObject({ created: false, version: first.reply.version });
  const second = await put(1, 'doc', 'two', '--message', 'better');
  expect(second.reply).toMatchObject({ created: true, generation: 2 });
  expect((await kb(1, 'get', 'doc')).stdout.toString()).toBe('two');
  const old = await kb(1, 'get', `doc@${first.reply.version}`);
  expect(old.stdout.toString()).toBe('one');
  const log = await kb(1, 'log', 'doc');
  expect(log.stdout.toString()).toContain('better');
  // Back to what was there before is a version of its own.
  expect((await put(1, 'doc', 'one')).reply).toMatchObject({ created: true, generation: 3 });
});

test('--if-version refuses what was not expected: 73', async () => {
  const first = await put(1, 'cas', 'one', '--if-version', 'none');
  expect(first.run.exit).toBe(0);
  expect((await put(1, 'cas', 'two', '--if-version', 'none')).run.exit).toBe(73);
  const { version } = first.reply;
  expect((await put(1, 'cas', 'two', '--if-version', version)).run.exit).toBe(0);
  const late = await put(1, 'cas', 'three', '--if-version', version);
  expect(late.run.exit).toBe(73);
  expect((await kb(1, 'get', 'cas')).stdout.toString()).toBe('two');
  // Many at once: one wins.
  const home = ['--home', cluster.node(1).home, 'kb', 'put', '-', '--path', 'race'];
  const race = await Promise.all(
    ['a', 'b', 'c', 'd'].map((text) =>
      aegis([...home, '--if-version', 'none'], { input: Buffer.from(text) }),
    ),
  );
  expect(race.map(({ exit }) => exit).toSorted((a, b) => a! - b!)).toEqual([0, 73, 73, 73]);
});

test('two nodes that were apart: both versions stay, and both show the same merge', async () => {
  const restart = async (node: number, down: number) => {
    expectDone(await cluster.run(down, 'node', 'stop'));
    if ((await cluster.devnet.status())[node - 1]!.state !== 'running') {
      expectDone(await cluster.start(node));
    }
  };
  await put(1, 'apart', 'together', '--replicas', '2');
  await restart(1, 2);
  const one = await put(1, 'apart', 'by one', '--wait', 'local');
  expectDone(await cluster.run(1, 'node', 'stop'));
  expectDone(await cluster.start(2));
  const two = await put(2, 'apart', 'by two', '--wait', 'local');
  expectDone(await cluster.start(1));
  const logs: Log[] = [];
  for (const node of [1, 2]) {
    logs.push(
      await cluster.until(
        () => cluster.json<Log>(node, 'kb', 'log', 'apart'),
        ({ versions, heads }) => versions.length === 4 && heads === 1,
        `node ${node} shows the merge of both`,
      ),
    );
  }
  for (const log of logs) {
    const merge = log.versions.find(({ head }) => head)!;
    expect(new Set(merge.parents)).toEqual(new Set([one.reply.version, two.reply.version]));
  }
  const shown = logs.map((log) => log.versions.find((version) => version.shown)!.version);
  expect(shown[0]).toBe(shown[1]);
  for (const [text, { reply }] of [
    ['by one', one],
    ['by two', two],
  ] as const) {
    for (const node of [1, 2]) {
      const run = await cluster.until(
        () => kb(node, 'get', `apart@${reply.version}`),
        ({ exit }) => exit === 0,
        `${text} on node ${node}`,
      );
      expect(run.stdout.toString()).toBe(text);
    }
  }
  const texts = await Promise.all([1, 2].map((node) => kb(node, 'get', 'apart')));
  expect(texts[0]!.stdout).toEqual(texts[1]!.stdout);
});
