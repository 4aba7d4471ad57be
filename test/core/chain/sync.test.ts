/** How a node comes to the history of the others: windows, liars, snapshots, divergence. */
import { beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import {
  CHAIN_PROTOCOL,
  type ChainMessage,
  encodeMessage,
} from '../../../src/core/chain/messages.ts';
import {
  heightKey,
  META,
  readChainRow,
  readDivergence,
  TABLES,
} from '../../../src/core/chain/rows.ts';
import { StateTree } from '../../../src/core/chain/state-tree.ts';
import { encodeCertificate } from '../../../src/core/consensus/certificate.ts';
import { digestMessage } from '../../../src/core/consensus/signed-bytes.ts';
import { createBlock } from '../../../src/core/model/block.ts';
import { TestCluster, type TestNode } from './support/cluster.ts';
import { CLUSTER_ID, intentOf } from './support/fixtures.ts';
import { begin, lieTo, pruneAll, rowsOf, sceneOf, type Twist, write } from './support/scene.ts';

const certified = (node: TestNode): number[] =>
  node
    .table(TABLES.chain)
    .filter(({ value }) => readChainRow(value).certificate !== undefined)
    .map(({ key }) => Number(key))
    .toSorted((a, b) => a - b);

describe('windows', () => {
  const scene = sceneOf(95);
  const { cluster, first, others, away } = scene;

  beforeAll(() => {
    begin(scene);
    cluster.runUntil(() => away.chain.height === first.chain.height);
  });

  it('bring a node to the same state with few certificates', () => {
    expect(away.chain.tip()).toEqual(first.chain.tip());
    expect(rowsOf(away, TABLES.state)).toEqual(rowsOf(first, TABLES.state));
    expect(rowsOf(away, TABLES.blocks)).toEqual(rowsOf(first, TABLES.blocks));
    expect(away.chain.handovers(0).map(({ height }) => height)).toEqual([21, 51, 81]);
    expect(away.told('liar')).toEqual([]);
    // Windows end with each epoch, and with the window.
    expect(certified(first)).toHaveLength(95);
    expect(certified(away).length).toBeLessThan(12);
    for (const end of [21, 51, 81]) expect(certified(away)).toContain(end);
    expect(away.told('finalised').map(({ height }) => height)).toHaveLength(95);
  });

  it('are served by a node that has few certificates, and by a restarted one', () => {
    cluster.restart(away);
    const next = cluster.nodes[3]!;
    cluster.stop(next);
    next.rows.clear();
    cluster.boot(next);
    cluster.give(next, { type: 'start' });
    cluster.connect(next, away);
    cluster.connect(away, next);
    cluster.runUntil(() => next.chain.height === first.chain.height);
    expect(rowsOf(next, TABLES.state)).toEqual(rowsOf(first, TABLES.state));
    expect([...next.told('liar'), ...away.told('liar')]).toEqual([]);
    expect(certified(next).every((height) => certified(away).includes(height))).toBe(true);
    for (const other of others) cluster.connect(next, other);
  });
});

describe('liars', () => {
  it('five of six, each another kind, are named, and hold nothing up', () => {
    const scene = sceneOf(70, 4);
    const { cluster, first, others, away } = scene;
    const [forker, cutter, big, slow, double] = others.slice(1, 6);
    // The custodians have restarted; an honest one of them is left.
    for (const node of others.slice(6)) cluster.stop(node);
    const blockOf = (message: ChainMessage) => {
      if (message.type !== 'blocks' || message.window === undefined) return undefined;
      const { blocks, certificate } = message.window;
      return {
        from: message.from,
        blocks: blocks.map(({ block }) => block.bytes),
        certificate: encodeCertificate(certificate),
      };
    };
    let answers = 0;
    const twists = new Map<TestNode, Twist>([
      [
        forker!,
        (message) => {
          const found = blockOf(message);
          if (found === undefined) return undefined;
          // Blocks that follow one another, under a certificate that nobody has signed.
          const certificate = found.certificate.slice();
          certificate[certificate.length - 1]! ^= 1;
          return { type: 'blocks', from: found.from, window: { ...found, certificate } };
        },
      ],
      [
        cutter!,
        (message) =>
          message.type === 'blocks'
            ? { type: 'blocks', from: message.from, window: undefined }
            : undefined,
      ],
      [
        big!,
        (message) => {
          const found = blockOf(message);
          if (found === undefined) return undefined;
          const blocks = Array.from({ length: LIMITS.windowBlocks + 1 }, () => found.blocks[0]!);
          return { type: 'blocks', from: found.from, window: { ...found, blocks } };
        },
      ],
      [slow!, (message) => (message.type === 'blocks' ? 'silence' : undefined)],
      [
        double!,
        (message) => {
          const found = blockOf(message);
          answers += 1;
          if (found === undefined || answers % 2 === 0) return undefined;
          const blocks = found.blocks.toReversed();
          return { type: 'blocks', from: found.from, window: { ...found, blocks } };
        },
      ],
    ]);
    lieTo(scene, twists);
    // The honest one comes last, so that each of the others is believed first.
    begin({ ...scene, others: [forker!, cutter!, big!, slow!, double!] });
    cluster.run(200_000);
    cluster.connect(away, first);
    cluster.connect(first, away);
    cluster.runUntil(() => away.chain.height === first.chain.height);
    expect(rowsOf(away, TABLES.state)).toEqual(rowsOf(first, TABLES.state));
    const named = new Set(away.told('liar').map(({ nodeId }) => nodeId));
    expect(named).toEqual(new Set([forker, cutter, big, double].map((node) => node!.nodeId)));
    expect(away.told('slow').map(({ nodeId }) => nodeId)).toContain(slow!.nodeId);
    expect(named.has(first.nodeId)).toBe(false);
    expect(away.told('conflict')).toEqual([]);
  });
});

describe('snapshots', () => {
  it('are taken when nobody has the blocks any more, and lead on', () => {
    const scene = sceneOf(40);
    const { cluster, first, away } = scene;
    pruneAll(scene);
    begin(scene);
    cluster.runUntil(() => away.chain.height === first.chain.height);
    expect(away.told('snapshot').map(({ state }) => state)).toEqual(['begun', 'installed']);
    for (const table of [TABLES.state, TABLES.members, TABLES.successions]) {
      expect(rowsOf(away, table)).toEqual(rowsOf(first, table));
    }
    expect([away.table(TABLES.blocks), away.chain.base]).toEqual([[], 41]);
    // It goes on with the others, also after a restart, and serves what it has.
    write(cluster, first);
    cluster.runUntil(() => away.chain.height === 41);
    cluster.restart(away);
    write(cluster, away);
    cluster.runUntil(() => away.chain.height === 42);
    expect(rowsOf(away, TABLES.state)).toEqual(rowsOf(first, TABLES.state));
    expect(away.told('liar')).toEqual([]);
  });

  const spoil = (value: Uint8Array): Uint8Array => {
    const copy = value.slice();
    copy[copy.length - 1]! ^= 1;
    return copy;
  };

  const lies: readonly (readonly [string, Twist])[] = [
    [
      'leaders',
      (message) =>
        message.type === 'snapshot' && message.manifest !== undefined
          ? {
              ...message,
              manifest: { ...message.manifest, leaders: spoil(message.manifest.leaders) },
            }
          : undefined,
    ],
    [
      'certificate',
      (message) =>
        message.type === 'snapshot' && message.manifest !== undefined
          ? {
              ...message,
              manifest: { ...message.manifest, certificate: spoil(message.manifest.certificate) },
            }
          : undefined,
    ],
    [
      'part',
      (message) =>
        message.type === 'part' && message.leaves !== undefined
          ? {
              ...message,
              leaves: message.leaves.map((leaf) => ({ ...leaf, value: spoil(leaf.value) })),
            }
          : undefined,
    ],
    [
      'list of parts',
      (message) =>
        message.type === 'snapshot' && message.manifest !== undefined
          ? { ...message, manifest: { ...message.manifest, parts: [] } }
          : undefined,
    ],
    [
      'list of successions',
      (message) =>
        message.type === 'page' && message.rows !== undefined
          ? { ...message, rows: message.rows.filter(({ table }) => table !== TABLES.successions) }
          : undefined,
    ],
    [
      'list of hand-overs',
      (message) =>
        message.type === 'page' && message.rows !== undefined
          ? { ...message, rows: message.rows.filter(({ table }) => table !== TABLES.handovers) }
          : undefined,
    ],
  ];

  it.each(lies)('with a false %s name who sent them, and come from another', (_what, twist) => {
    const scene = sceneOf(24);
    const { cluster, first, others, away } = scene;
    pruneAll(scene);
    const liars = others.slice(1);
    lieTo(scene, new Map(liars.map((node) => [node, twist])));
    begin({ ...scene, others: liars });
    cluster.run(20_000);
    expect(away.chain.height).toBe(0);
    const named = new Set(away.told('liar').map(({ nodeId }) => nodeId));
    expect(liars.some(({ nodeId }) => named.has(nodeId))).toBe(true);
    cluster.connect(away, first);
    cluster.connect(first, away);
    cluster.runUntil(() => away.chain.height === first.chain.height);
    expect(rowsOf(away, TABLES.state)).toEqual(rowsOf(first, TABLES.state));
    expect(away.told('liar').map(({ nodeId }) => nodeId)).not.toContain(first.nodeId);
  });
});

describe('a state that differs', () => {
  /** The node executes one change of each block to another value. */
  function spoil(node: TestNode, at: number): void {
    const step = node.chain.step.bind(node.chain);
    const { update } = StateTree.prototype;
    node.chain.step = (input, now) => {
      if (node.chain.height !== at) return step(input, now);
      StateTree.prototype.update = function wrong(this: StateTree, changes) {
        const [first, ...rest] = [...changes].filter(({ value }) => value !== undefined);
        const value = first!.value!.slice();
        value[value.length - 1]! ^= 1;
        return update.call(this, [{ key: first!.key, value }, ...rest]);
      };
      try {
        return step(input, now);
      } finally {
        StateTree.prototype.update = update;
      }
    };
  }

  const scene = sceneOf(60);
  const { cluster, first, away } = scene;

  it('is traced to its first key, by peers of whom one lies', () => {
    const liar = scene.others[1]!;
    lieTo(
      scene,
      new Map([
        [
          liar,
          (message) =>
            message.type === 'node' ? { ...message, node: { type: 'empty' as const } } : undefined,
        ],
      ]),
    );
    cluster.boot(away);
    spoil(away, 21);
    cluster.give(away, { type: 'start' });
    for (const node of [liar, first]) {
      cluster.connect(away, node);
      cluster.connect(node, away);
    }
    cluster.runUntil(() => away.told('divergence').some(({ key }) => key !== undefined));
    const { divergence, isVoting } = away.chain.status();
    expect([away.chain.height, isVoting]).toEqual([21, false]);
    const key = divergence!.key!;
    const rows = first.table(TABLES.state);
    expect(rows.some((row) => row.key === key)).toBe(true);
    expect(away.told('liar')).toMatchObject([{ nodeId: liar.nodeId, height: 22 }]);
    const row = away.rows.get(`${TABLES.meta}\0${META.divergence}`)!;
    expect(readDivergence(row.value)).toEqual(divergence);
  });

  it('stays so after a restart, until the state is taken anew', () => {
    const before = away.chain.status().divergence;
    cluster.restart(away);
    cluster.run(10_000);
    expect(away.chain.status().divergence).toEqual(before);
    expect(away.chain.height).toBe(21);
    cluster.restart(first);
    cluster.give(away, { type: 'take-anew' });
    cluster.runUntil(() => away.chain.height === first.chain.height);
    expect(away.chain.status().divergence).toBeUndefined();
    expect(rowsOf(away, TABLES.state)).toEqual(rowsOf(first, TABLES.state));
    expect(away.rows.has(`${TABLES.meta}\0${META.divergence}`)).toBe(false);
    write(cluster, first);
    cluster.runUntil(() => away.chain.height === first.chain.height);
  });
});

describe('a checkpoint', () => {
  const height = 10;
  const wrong = { height, digest: 'cd'.repeat(32) };

  it('that is in the history changes nothing, and another keeps the history out', () => {
    const scene = sceneOf(24);
    const { cluster, first, away } = scene;
    const row = first.rows.get(`${TABLES.chain}\0${heightKey(height)}`)!;
    away.checkpoint = wrong;
    begin(scene);
    cluster.run(10_000);
    expect(away.chain.height).toBe(0);
    expect(away.told('liar')[0]).toMatchObject({
      what: 'its history does not go through the checkpoint',
    });
    away.checkpoint = { height, digest: readChainRow(row.value).digest };
    cluster.restart(away);
    cluster.runUntil(() => away.chain.height === first.chain.height);
    expect(away.chain.headerOf(height)).toBeDefined();
  });

  it('is asked of a snapshot, which comes with its header or is not taken', () => {
    const scene = sceneOf(24);
    const { cluster, first, others, away } = scene;
    const row = first.rows.get(`${TABLES.chain}\0${heightKey(21)}`)!;
    const { digest } = readChainRow(row.value);
    pruneAll(scene);
    // 21 ends an epoch: everybody keeps its header. That of 10 nobody has any more.
    // Who does not have a header has not lied about it.
    const lacking = [wrong, false] as const;
    for (const [checkpoint, isLie] of [
      lacking,
      [{ height: 21, digest: 'cd'.repeat(32) }, true] as const,
    ]) {
      away.checkpoint = checkpoint;
      begin(scene);
      cluster.run(5000);
      expect([away.chain.height, away.told('liar').length > 0]).toEqual([0, isLie]);
      for (const node of others) cluster.disconnect(away, node);
      away.outcomes.length = 0;
    }
    away.checkpoint = { height: 21, digest };
    begin(scene);
    cluster.runUntil(() => away.chain.height === first.chain.height);
    expect(away.told('liar')).toEqual([]);
  });
});

it('a certified block upon another history is evidence, and takes nothing back', () => {
  const cluster = new TestCluster({ custodians: 4 });
  const [first, second, third, fourth] = cluster.nodes as [TestNode, TestNode, TestNode, TestNode];
  write(cluster, first);
  const tip = fourth.chain.tip();
  const { digest: custodians } = fourth.chain.custodians();
  const intent = intentOf(first.member, 2, { version: 'other' });
  const block = createBlock(
    {
      clusterId: CLUSTER_ID,
      height: 2,
      previous: new Uint8Array(32).fill(9),
      time: cluster.now,
      proposer: first.nodeId,
      view: 0,
      protocol: cluster.genesis.protocol,
      stateRoot: new Uint8Array(32),
      custodians,
      leaders: new Uint8Array(32),
    },
    [intent.bytes],
  );
  const signers = [0, 1, 2];
  const message = digestMessage(CLUSTER_ID, 'commit', 2, 0, block.digest);
  const signature = cluster.aggregate(signers.map((one) => cluster.shareOf(one, 2, message)));
  const certificate = encodeCertificate({
    ...{ phase: 'commit', height: 2, view: 0, digest: block.digest, signers, signature },
  });
  const window = { blocks: [block.bytes], certificate };
  for (const body of [
    encodeMessage({ type: 'announce', height: 2, digest: block.digest }),
    encodeMessage({ type: 'blocks', from: 2, window }),
  ]) {
    cluster.deliver(second, { to: fourth.nodeId, protocol: CHAIN_PROTOCOL, body });
    cluster.run(5);
  }
  expect(fourth.told('conflict')).toMatchObject([
    { height: 1, ours: tip.digest, theirs: '09'.repeat(32), from: second.nodeId },
  ]);
  expect(fourth.told('liar')).toMatchObject([{ nodeId: second.nodeId }]);
  expect([fourth.chain.tip(), fourth.table(TABLES.conflicts).length]).toEqual([tip, 1]);
  write(cluster, third);
  expect(fourth.chain.height).toBe(2);
});
