/**
 * Goal: a member that lies, stalls or floods, and a stranger, do no harm that lasts.
 * Setup: three honest daemons (the third lends no storage, so that it must fetch what it reads) and
 * the keys of a fourth member in the hands of this test.
 * Check: puts and gets of honest nodes go on, nothing false is shown, the liar is named in the log,
 * and memory stays where it was.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { CID } from 'multiformats/cid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signerOf } from '../../src/core/crypto/sign.ts';
import { blockOf, RAW } from '../../src/core/kb/block.ts';
import { encodeMessage } from '../../src/core/kb/messages.ts';
import { placeHolders } from '../../src/core/kb/placement.ts';
import { systemRandom } from '../../src/core/keys/random.ts';
import { signRecord } from '../../src/core/model/signed.ts';
import { Host } from '../../src/core/network/host.ts';
import { systemClock } from '../../src/core/node/clock.ts';
import type { Hasher } from '../../src/core/ports.ts';
import { createHasher } from '../../src/core/storage/hasher.ts';
import { KIB, MIB } from '../../src/core/units.ts';
import { testNode } from '../helpers/nodes.ts';
import { aegis, Cluster, type Run } from './support/cluster.ts';
import { Liar, sendBlocks, silent, stall, trustful, uncounted } from './support/liar.ts';
import { rssBytes } from './support/processes.ts';
import { storedBytes } from './support/store.ts';

const HONEST = [1, 2, 3] as const;
const READER = 3;
/** One peer may have 8 bulk streams of about 9 MiB, and V8 takes its time with what is dead. */
const RSS_GROWTH_MAX = 320 * MIB;
const RSS_GROWTH_AGAIN_MAX = 80 * MIB;

let cluster: Cluster;
let liar: Liar;
let hasher: Hasher;
const rssBefore = new Map<number, number>();
const rssOnce = new Map<number, number>();
/** Fetches that the liar stalls go on while the other tests run. */
let stalled: { readonly bytes: Uint8Array; readonly get: Promise<Run> };

beforeAll(async () => {
  cluster = await Cluster.start({ size: 4, storageWeights: [100, 100, 0, 100] });
  expect((await cluster.run(4, 'node', 'stop')).exit).toBe(0);
  hasher = await createHasher('blake3');
  // What honest work costs is not the liar's doing.
  for (let i = 0; i < 2; i += 1) await stillWorks();
  for (const node of HONEST) rssBefore.set(node, rssBytes(await cluster.pid(node)));
  liar = await Liar.join(cluster, 4);
});
afterAll(async () => {
  await liar.stop();
  await cluster.stop();
});

const put = (path: string, bytes: Uint8Array, ...args: string[]): Promise<Run> =>
  aegis(['--home', cluster.node(1).home, 'kb', 'put', '-', '--path', path, ...args], {
    input: bytes,
  });
const get = (node: number, path: string, ...args: string[]): Promise<Run> =>
  cluster.run(node, 'kb', 'get', path, '-o', '-', ...args);
const known = (node: number, path: string): Promise<Run> =>
  cluster.until(
    () => cluster.run(node, 'kb', 'stat', path),
    ({ exit }) => exit === 0,
    `node ${node} knows ${path}`,
  );

/** A document goes in on node 1, becomes durable on node 2 and comes out on node 3. */
async function stillWorks(): Promise<void> {
  const path = `honest-${randomBytes(6).toString('hex')}`;
  const bytes = randomBytes(300 * KIB);
  const stored = await put(path, bytes, '--timeout', '20s');
  expect(stored.exit, stored.stderr).toBe(0);
  await known(READER, path);
  const got = await get(READER, path);
  expect(got.exit, got.stderr).toBe(0);
  expect(got.stdout.equals(bytes)).toBe(true);
}

interface Out {
  write(chunk: Uint8Array): Promise<void>;
}

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

const logOf = (node: number): Line[] =>
  readFileSync(cluster.home(node).logFile, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

/** Waits until the log of a node has a warning with these words and the liar's name. */
const named = (node: number, words: string, root?: CID): Promise<Line[]> =>
  cluster.until(
    () =>
      logOf(node).filter(
        (line) =>
          ['warn', 'error'].includes(line.level) &&
          line.message.includes(words) &&
          JSON.stringify(line.fields).includes(liar.nodeId) &&
          (root === undefined || line.fields?.['root'] === root.toString()),
      ),
    (lines) => lines.length > 0,
    `node ${node} names the liar: ${words}`,
  );

/** Reads a stream to its end. */
async function collect(stream: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of stream) bytes += chunk.length;
  return bytes;
}

/** Content of which the placement names the liar as the first holder, so that it is asked first. */
function contentAtLiar(): { readonly bytes: Buffer; readonly root: CID } {
  const members = liar.genesis.custodians.map(({ nodeId, storageWeight: weight, zone }) => {
    return { nodeId, weight, zone };
  });
  for (;;) {
    const bytes = randomBytes(2000);
    const { cid: root } = blockOf(RAW, bytes, hasher);
    if (placeHolders(root, members, liar.genesis.replicas)[0] === liar.nodeId) {
      return { bytes, root };
    }
  }
}

/** Puts it on node 1, with the liar's false word that it has it, too. */
async function putAtLiar(path: string, bytes: Uint8Array, root: CID): Promise<void> {
  const run = await put(path, bytes, '--plain', '--json');
  expect(run.exit, run.stderr).toBe(0);
  const { cid, version } = JSON.parse(run.stdout.toString()) as { cid: string; version: string };
  expect(cid).toBe(root.toString());
  liar.tell({ type: 'stored', versions: [CID.parse(version)] });
  await known(READER, path);
}

test('the liar begins to stall a stream', async () => {
  const { bytes, root } = contentAtLiar();
  liar.answer(root, stall);
  await putAtLiar('stalled', bytes, root);
  stalled = { bytes, get: get(READER, 'stalled') };
  await cluster.until(
    () => liar.asked,
    (asked) => asked.includes(root.toString()),
    'the liar is asked',
  );
  await stillWorks();
});

describe('lies about objects', () => {
  test('are healed from an honest holder, and the liar is asked last from then on', async () => {
    const first = contentAtLiar();
    liar.answer(first.root, sendBlocks({ cid: first.root, bytes: randomBytes(2000) }));
    await putAtLiar('lied-about', first.bytes, first.root);
    const run = await get(READER, 'lied-about');
    expect(run.exit, run.stderr).toBe(0);
    expect(run.stdout.equals(first.bytes)).toBe(true);
    expect(liar.asked).toContain(first.root.toString());
    const { home } = cluster.node(READER);
    expect(storedBytes(home, first.root.toString())).toEqual(first.bytes);
    await named(READER, 'a holder sent false objects', first.root);
    const second = contentAtLiar();
    liar.answer(second.root, sendBlocks({ cid: second.root, bytes: randomBytes(2000) }));
    await putAtLiar('not-asked-again', second.bytes, second.root);
    expect((await get(READER, 'not-asked-again')).stdout.equals(second.bytes)).toBe(true);
    expect(liar.asked).not.toContain(second.root.toString());
  });

  const other = randomBytes(2000);
  test.each([
    ['wrong-bytes', (root: CID) => sendBlocks({ cid: root, bytes: other })],
    ['an-object-nobody-asked-for', () => sendBlocks(blockOf(RAW, other, hasher))],
    ['more-than-4-MiB', (root: CID) => sendBlocks({ cid: root, bytes: randomBytes(5 * MIB) })],
    [
      'no-car',
      () =>
        (_root: CID, ...[, , out]: unknown[]) =>
          (out as Out).write(other),
    ],
    ['nothing', () => sendBlocks()],
  ])('%s, from the only one that claims to have it', async (path, answer) => {
    const { root } = contentAtLiar();
    liar.answer(root, answer(root));
    const signed = liar.version({ path, root });
    liar.tell({ type: 'versions', versions: [signed.bytes], isMore: false });
    for (const node of [1, READER]) {
      await known(node, path);
      // The liar has told no custodian of it, so it is not final.
      const run = await get(node, path, '--provisional');
      expect([65, 75], run.stderr).toContain(run.exit);
      expect(run.stdout.length).toBe(0);
      expect(storedBytes(cluster.node(node).home, root.toString())).toBeUndefined();
      if (path !== 'nothing') await named(node, 'a holder sent false objects', root);
    }
    const { cid } = blockOf(RAW, other, hasher);
    expect(storedBytes(cluster.node(READER).home, cid.toString())).toBeUndefined();
    await stillWorks();
  });
});

test('versions that are not what they say are shown by nobody', async () => {
  const { root } = contentAtLiar();
  const victim = liar.genesis.custodians.find(({ nodeId }) => nodeId !== liar.nodeId)!;
  const fields = { root, sizeBytes: 1, parents: [], generation: 1, sequence: 1, time: 1 };
  // What comes next of the liar; it is never told.
  const sequence = liar.lastSequence + 1;
  const asVictim = { ...fields, v: 1, type: 'version', author: victim.nodeId } as const;
  const stranger = testNode(1);
  const good = liar.version({ path: 'good', root, sequence });
  const false_ = [
    // Signed with another key than the author's.
    signRecord({ ...asVictim, path: 'false/forged' }, signerOf(randomBytes(32))),
    // By somebody who is no member.
    signRecord({ ...asVictim, author: stranger.nodeId, path: 'false/stranger' }, stranger.signer),
    // A generation from nowhere, which would win over everybody.
    liar.version({ path: 'false/generation', root, generation: 1_000_000, sequence }).bytes,
    // A parent of another path, and one that nobody knows.
    liar.version({
      path: 'false/other-path',
      root,
      parents: [good.cid],
      generation: 2,
      sequence,
    }).bytes,
    liar.version({
      path: 'false/orphan',
      root,
      parents: [liar.version({ path: 'x', root, sequence: sequence + 1 }).cid],
      generation: 2,
      sequence,
    }).bytes,
    // One bit of a good one.
    good.bytes.map((byte, i) => (i === good.bytes.length - 5 ? byte ^ 1 : byte)),
    // Cut off.
    good.bytes.slice(0, -1),
  ];
  for (const bytes of false_) liar.tell({ type: 'versions', versions: [bytes], isMore: false });
  for (const node of HONEST) await named(node, 'refused a message of a peer');
  await stillWorks();
  for (const node of HONEST) {
    const ls = await cluster.run(node, 'kb', 'ls', '--recursive', '--json');
    expect(ls.stdout.toString()).not.toContain('false/');
  }
});

test('two versions with one number are kept, and reported', async () => {
  const { sequence } = liar.version({ path: 'two-faced', root: contentAtLiar().root }).version;
  const versions = [contentAtLiar(), contentAtLiar()].map(({ root }) =>
    liar.version({ path: 'two-faced', root, sequence }),
  );
  for (const [index, { bytes }] of versions.entries()) {
    const to = liar.host.peers()[index]!.nodeId;
    liar.tell({ type: 'versions', versions: [bytes], isMore: false }, to);
  }
  for (const node of HONEST) await named(node, 'a node has signed two versions as one');
  await stillWorks();
});

/** Bounded, and the second helping finds room in what the first has left behind. */
async function expectMemory(time: string): Promise<void> {
  for (const node of HONEST) {
    const now = rssBytes(await cluster.pid(node));
    expect(now - rssBefore.get(node)!, `node ${node}`).toBeLessThan(RSS_GROWTH_MAX);
    if (time === 'once') rssOnce.set(node, now);
    else expect(now - rssOnce.get(node)!, `node ${node}`).toBeLessThan(RSS_GROWTH_AGAIN_MAX);
  }
}

describe('floods', () => {
  const drained = (): Promise<unknown> =>
    Promise.all(liar.host.peers().map(({ nodeId }) => liar.host.ping(nodeId)));

  test('garbage messages', async () => {
    const good = encodeMessage({ type: 'versions', versions: [randomBytes(100)], isMore: true });
    for (let round = 0; round < 10; round += 1) {
      for (let i = 0; i < 100; i += 1) {
        liar.say(randomBytes(i));
        liar.say(
          good.map((byte, at) => (at === (i * 7) % good.length ? byte ^ (1 << (i % 8)) : byte)),
        );
      }
      liar.say(randomBytes(MIB - 1));
      await drained();
    }
    await stillWorks();
  });

  test.each(['once', 'twice'])('true messages without end, %s', async (time) => {
    const unknown = { root: contentAtLiar().root, sequence: time === 'once' ? 1000 : 2000 };
    const cids = Array.from({ length: 512 }, (_, i) => {
      return liar.version({ ...unknown, path: `unknown/${i}` }).cid;
    });
    const held = new Uint8Array(16);
    const orphans = Array.from({ length: 500 }, (_, i) =>
      liar.version({ ...unknown, path: `orphan/${i}`, parents: [cids[i % 512]!], generation: 2 }),
    );
    const entries = Array.from({ length: 1000 }, (_, i) => {
      return { author: testNode((i % 80) + 1).nodeId, sequence: 2 ** 40 + i, digest: held };
    });
    for (let round = 0; round < 10; round += 1) {
      liar.tell({ type: 'offer', versions: cids });
      liar.tell({ type: 'stored', versions: cids, within: { from: '' } });
      liar.tell({ type: 'vector', entries, held, isReply: false });
      for (let i = 0; i < 50; i += 1) {
        const { bytes } = orphans[round * 50 + i]!;
        liar.tell({ type: 'versions', versions: [bytes], isMore: false });
      }
      await drained();
    }
    await stillWorks();
    await expectMemory(time);
  });

  test('requests', async () => {
    const requests = liar.host.peers().flatMap(({ nodeId }) =>
      Array.from({ length: 2000 }, (_, i) =>
        liar.host.request(nodeId, `method-${i}`, randomBytes(4 * KIB)).then(
          () => 'answered',
          (error: { code: string }) => error.code,
        ),
      ),
    );
    const ends = new Set(await Promise.all(requests));
    expect(ends.has('answered')).toBe(false);
    await stillWorks();
  });

  test('frames beyond the limit', async () => {
    const peers = liar.host.peers();
    for (const { nodeId } of peers) {
      const request = liar.host.request(nodeId, 'big', randomBytes(16 * MIB));
      await expect(request).rejects.toMatchObject({ name: 'AegisError' });
      liar.host.send({ to: nodeId, protocol: 'kb', body: randomBytes(16 * MIB) });
      const bulk = liar.host.openBulk(nodeId, randomBytes(16 * MIB)).then(collect);
      await expect(bulk).rejects.toMatchObject({ name: 'AegisError' });
    }
    for (const node of HONEST) {
      if (peers.some(({ nodeId }) => nodeId === cluster.node(node).nodeId)) {
        await named(node, 'broke the rules of its request stream');
      }
    }
    await stillWorks();
  });

  test.each(['once', 'twice'])('bulk streams that it does not read, %s', async (time) => {
    const path = `large-${time}`;
    await put(path, randomBytes(24 * MIB));
    const { cid } = await cluster.json<{ cid: string }>(1, 'kb', 'stat', path);
    const { encodeFetchRequest } = await import('../../src/core/kb/request.ts');
    const request = encodeFetchRequest({
      root: CID.parse(cid),
      ranges: [{ from: [], to: undefined }],
      skip: new Uint8Array(),
      maxBytes: 64 * MIB,
    });
    const open = [];
    for (const { nodeId } of liar.host.peers()) {
      for (let i = 0; i < 40; i += 1) {
        open.push(await liar.host.openBulk(nodeId, request).catch(() => undefined));
      }
    }
    await stillWorks();
    const got = await get(READER, path);
    expect(got.exit, got.stderr).toBe(0);
    await expectMemory(time);
  });

  test('versions whose content never comes do not keep honest content away', async () => {
    // Each makes the holders ask the liar, who stalls them all.
    for (let i = 0; i < 64; i += 1) {
      const { root } = contentAtLiar();
      liar.answer(root, stall);
      const signed = liar.version({ path: `never/${i}`, root, sizeBytes: 2000 });
      liar.tell({ type: 'versions', versions: [signed.bytes], isMore: false });
    }
    await known(2, 'never/63');
    await cluster.until(
      () => liar.asked.length,
      (count) => count > 8,
      'the holders ask the liar',
    );
    await stillWorks();
  });
});

test('the stalled read has come to its end elsewhere', async () => {
  const run = await stalled.get;
  expect(run.exit, run.stderr).toBe(0);
  expect(run.stdout.equals(stalled.bytes)).toBe(true);
});

test('every node still says that it is well', async () => {
  for (const node of HONEST) {
    expect((await cluster.json(node, 'node', 'status'))['state']).toBe('ready');
    expect(logOf(node).filter(({ message }) => message.includes('cannot go on'))).toEqual([]);
  }
});

describe('a stranger', () => {
  test('is not let in and learns nothing', async () => {
    const { inception } = testNode(7);
    const host = await Host.create(
      {
        networkSeed: new Uint8Array(32).fill(87),
        listen: [],
        profile: 'loopback',
        hello: trustful(liar.genesis.clusterId, inception),
      },
      { log: silent, metrics: uncounted, clock: systemClock(), random: systemRandom },
    );
    await host.start();
    try {
      for (const node of HONEST) {
        const dial = host.dial(cluster.node(node).address, { timeoutMs: 10_000 });
        await expect(dial).rejects.toMatchObject({
          code: expect.stringMatching(/^(HELLO_REFUSED|DIAL_FAILED)$/),
          message: expect.not.stringContaining(cluster.node(node).name),
        });
      }
      expect(host.peers()).toEqual([]);
    } finally {
      await host.stop();
    }
    await cluster.until(
      () => logOf(1),
      (lines) => lines.some((line) => JSON.stringify(line).includes('is not a member')),
      'the refusal is in the log',
    );
  });

  test('that opens hundreds of connections keeps no member out', async () => {
    const { address } = cluster.node(2);
    const port = Number(address.split('/')[4]);
    const sockets: Socket[] = [];
    for (let i = 0; i < 300; i += 1) {
      const socket = connect(port, '127.0.0.1').on('error', () => undefined);
      socket.write(i % 2 === 0 ? randomBytes(200) : '\u0013/multistream/1.0.0\n');
      sockets.push(socket);
    }
    await once(sockets[0]!, 'connect');
    await stillWorks();
    expect((await cluster.run(READER, 'node', 'stop')).exit).toBe(0);
    expect((await cluster.start(READER)).exit).toBe(0);
    await cluster.json(READER, 'node', 'wait', '--for', 'peers=2', '--timeout', '30s');
    await stillWorks();
    for (const socket of sockets) socket.destroy();
  });
});
