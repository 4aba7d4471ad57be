import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CID } from 'multiformats/cid';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ReplicationInput } from '../../../../src/core/kb/replication.ts';
import { Collecting, type CollectOptions } from '../../../../src/core/node/space/collecting.ts';
import { ContentStore } from '../../../../src/core/storage/content-store.ts';
import { versionOf } from '../../kb/authors.ts';
import { bytesOf, fileOf, type Made } from '../../kb/helpers.ts';
import { ana, bea, cai, dan, Node } from '../../kb/replication-node.ts';
import { silentLog } from '../../storage/support/stores.ts';

let dir: string;
let content: ContentStore;
let node: Node;
let submitted: ReplicationInput[];
let sequence: number;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-collecting-'));
  content = await ContentStore.open(join(dir, 'content.db'), { log: silentLog });
  node = new Node(ana, { retention: { keepLast: 0 } });
  node.step({ type: 'start' });
  node.up(bea, cai, dan);
  submitted = [];
  sequence = 0;
});
afterEach(async () => {
  await content.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A content of several objects that the placement gives this node. */
function placedHere(seed: number): Made {
  for (let n = seed * 1000; ; n += 1) {
    const made = fileOf(bytesOf(5000, n), undefined, 1000);
    if (node.machine.holders(made.root).placed.includes(node.id)) return made;
  }
}

async function store({ objects, root, sizeBytes }: Made): Promise<void> {
  await content.put(objects, { verify: true });
  await content.setRoot(root, { complete: true, sizeBytes });
  node.step({ type: 'stored', root });
}

/** The next version of a path, here with its content. */
async function write(path: string, made: Made): Promise<void> {
  await store(made);
  sequence += 1;
  const before = node.machine.graph.shown(path);
  const version = versionOf(ana, {
    ...{ path, sequence, root: made.root },
    parents: before === undefined ? [] : [before.cid],
    generation: (before?.version.generation ?? 0) + 1,
  });
  node.step({ type: 'local', version });
}

async function letGo(roots: readonly CID[], isDry: boolean): Promise<readonly CID[]> {
  const { told } = node.step({ type: 'let-go', roots, isDry });
  return told.flatMap((one) => (one.type === 'let-go' ? one.roots : []));
}

const collect = (options: Partial<CollectOptions> = {}, more: object = {}) =>
  Collecting.run(
    { isDry: false, isForced: false, signal: new AbortController().signal, ...options },
    {
      ...{ content, machine: node.machine, retention: { keepLast: 0 } },
      submit: (input: ReplicationInput) => {
        submitted.push(input);
        node.step(input);
      },
      mend: async () => {
        throw new Error('nobody has it');
      },
      now: () => 5000,
      letGo,
      ...more,
    },
  );

const isHere = async ({ objects }: Made): Promise<boolean> =>
  !(await content.has(objects.map(({ cid }) => cid))).includes(false);

test('heads stay, what they follow goes, and what nobody names', async () => {
  const [first, second, lone] = [placedHere(1), placedHere(2), placedHere(3)];
  await write('doc', first);
  await write('doc', second);
  await store(lone);
  const dry = await collect({ isDry: true });
  expect(dry).toMatchObject({ versions: 1, roots: 2 });
  expect([await isHere(first), await isHere(lone)]).toEqual([true, true]);
  expect(submitted).toEqual([]);
  const collected = await collect();
  expect(collected).toEqual(dry);
  expect(await isHere(second)).toBe(true);
  expect(node.machine.hasRoot(second.root)).toBe(true);
  for (const made of [first, lone]) {
    expect(await isHere(made)).toBe(false);
    expect(await content.root(made.root)).toBeUndefined();
    expect(node.machine.hasRoot(made.root)).toBe(false);
  }
  expect(await collect()).toEqual({ versions: 1, roots: 0, objects: 0, bytes: 0 });
});

test('a pin keeps what nothing else does', async () => {
  const made = placedHere(1);
  await store(made);
  const pin = { name: null, path: null, isPublic: false, sizeBytes: 1, addedAt: 1 };
  await content.setPin({ ...pin, cid: made.root });
  expect((await collect()).roots).toBe(0);
  await content.removePin(made.root);
  expect((await collect()).roots).toBe(1);
});

test('a kept content that lacks an object stops it, but for a mend or by force', async () => {
  const [kept, lone] = [placedHere(1), placedHere(2)];
  await write('doc', kept);
  await store(lone);
  const lost = kept.objects[2]!;
  await content.delete([lost.cid]);
  await expect(collect()).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
  expect(await isHere(lone)).toBe(true);
  const mended: string[] = [];
  await collect(
    {},
    {
      mend: async (root: CID) => {
        mended.push(String(root));
        await content.put([lost], { verify: true });
      },
    },
  );
  expect(mended).toEqual([String(kept.root)]);
  expect([await isHere(kept), await isHere(lone)]).toEqual([true, false]);
  await content.delete([lost.cid]);
  expect(await collect({ isForced: true })).toMatchObject({ objects: 0 });
});

test('what somebody comes to keep after it was let go has been here all the time', async () => {
  const made = placedHere(1);
  await store(made);
  await collect(
    {},
    {
      letGo: async (roots: readonly CID[], isDry: boolean) => {
        const gone = await letGo(roots, isDry);
        // A put of the same content, between the two.
        await content.setRoot(made.root, { complete: true, sizeBytes: 1 });
        return gone;
      },
    },
  );
  expect(submitted.map(({ type }) => type)).toEqual(['stored']);
  expect(await isHere(made)).toBe(true);
  expect(node.machine.hasRoot(made.root)).toBe(true);
});

test('one that is ended leaves room for another', async () => {
  await store(placedHere(1));
  const reason = new Error('enough');
  await expect(collect({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect((await collect()).roots).toBe(1);
});
