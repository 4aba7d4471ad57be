/**
 * Catching up among peers who say much and give little, and among honest ones who have changed
 * since they were asked: the former hold nothing up, the latter are never named (Y2, Y4 to Y6).
 */
import { describe, expect, it } from 'vitest';
import { trailOptionsOf } from '../../../src/core/chain/custodian-periods.ts';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import { CHAIN_PROTOCOL, encodeMessage, openMessage } from '../../../src/core/chain/messages.ts';
import { TABLES } from '../../../src/core/chain/rows.ts';
import { Serving } from '../../../src/core/chain/serving.ts';
import { type SnapshotAnswer, SnapshotFetch } from '../../../src/core/chain/snapshot-fetch.ts';
import { SnapshotOffers } from '../../../src/core/chain/snapshot-offers.ts';
import type { SyncMessage } from '../../../src/core/chain/sync-messages.ts';
import { Turn } from '../../../src/core/chain/turn.ts';
import { sha256Hex } from '../../../src/core/crypto/hash.ts';
import { decode, encode } from '../../../src/core/model/cbor.ts';
import type { Checkpoint } from '../../../src/core/model/checkpoint.ts';
import { StubKeyring } from '../../../src/core/sim/stub-scheme.ts';
import { instant, MIB, MINUTE, SECOND } from '../../../src/core/units.ts';
import { Blocks } from './support/blocks.ts';
import { TestCluster, type TestNode } from './support/cluster.ts';
import { CLUSTER_ID, intentOf, type Member, membersOf, OPENING } from './support/fixtures.ts';
import { begin, lieTo, prune, pruneAll, sceneOf, write } from './support/scene.ts';

/** A history of one custodian whose certificates all hold, and who takes a snapshot of it. */
class Taker {
  readonly members = membersOf(3);
  readonly blocks = new Blocks(this.members, 1);
  readonly lies: string[] = [];
  readonly fetch: SnapshotFetch;
  now = 1000;

  constructor(checkpoint?: (blocks: Blocks) => Checkpoint, heights = 3) {
    const [a] = this.members as [Member];
    for (let at = 1; at <= heights; at += 1) this.write(`${at}`);
    const held = new StubKeyring('taker').votes(0, 1);
    const schemeOf = () => ({ ...held, verifyAggregate: () => true });
    const options = {
      clusterId: CLUSTER_ID,
      genesis: this.blocks.genesis,
      self: a.nodeId,
      held: [],
      checkpoint: checkpoint?.(this.blocks),
    };
    this.fetch = new SnapshotFetch(trailOptionsOf(options, { schemeOf }), {
      lied: (peer) => this.lies.push(peer),
      begun: () => {},
    });
    this.fetch.start();
  }

  write(version: string): void {
    const { blocks } = this;
    const intents = Array.from({ length: 20 }, (_, at) => ({ path: `${at}`, version }));
    blocks.add(blocks.intent(this.members[0]!, ...intents));
  }

  /** What somebody offers who has come as far. */
  offer(headerOf: (height: number) => Uint8Array | undefined = () => undefined): SnapshotOffers {
    const offers = new SnapshotOffers(headerOf);
    offers.add(this.blocks.ledger, this.blocks.leaders.snapshot());
    return offers;
  }

  /** What it asks, and whom. */
  ask(...peers: string[]): { readonly to: string; readonly message: SyncMessage }[] {
    const turn = new Turn(instant(this.now));
    this.fetch.pump(turn, new Set(peers));
    return turn.build().messages.map(({ to, body }) => ({
      to,
      message: openMessage(CHAIN_PROTOCOL, body, OPENING).message as SyncMessage,
    }));
  }

  answerOf(offers: SnapshotOffers, message: SyncMessage): SnapshotAnswer {
    const turn = new Turn(instant(this.now));
    offers.answer(turn, new Serving(), 'taker', message as never);
    const [envelope] = turn.build().messages;
    return openMessage(CHAIN_PROTOCOL, envelope!.body, OPENING).message as SnapshotAnswer;
  }

  take(from: string, message: SnapshotAnswer) {
    return this.fetch.take(from, message, instant(this.now));
  }
}

const headerAt = ({ ledger }: Blocks): Uint8Array => ledger.tip.headerBytes!;

describe('an honest source is not named', () => {
  it('when it offers a later snapshot before it has answered about the first', () => {
    const taker = new Taker();
    const offers = taker.offer();
    taker.fetch.note('a', 3);
    const [asked] = taker.ask('a');
    const answer = taker.answerOf(offers, asked!.message);
    taker.fetch.note('a', 4);
    taker.take('a', answer);
    expect([taker.lies, taker.fetch.trustedHeight]).toEqual([[], 3]);
  });

  it('when its parts come after another snapshot has been begun', () => {
    const taker = new Taker();
    const old = taker.offer();
    taker.write('4');
    const late = taker.offer();
    for (const peer of ['liar', 'slow']) taker.fetch.note(peer, 3);
    const [first] = taker.ask('liar');
    taker.take('liar', taker.answerOf(old, first!.message));
    const [asked] = taker.ask('slow');
    expect(asked).toMatchObject({ to: 'slow', message: { type: 'part-want', height: 3 } });
    // Its source turns out to be a liar, and the next one has a later state.
    taker.fetch.reject('what it sends does not fit', instant(taker.now));
    taker.fetch.note('next', 4);
    const [again] = taker.ask('next');
    taker.take('next', taker.answerOf(late, again!.message));
    taker.take('slow', taker.answerOf(old, asked!.message));
    expect(taker.lies).toEqual(['liar']);
  });

  it('when it has gone on to a later one, and still has the parts that were begun with', () => {
    const taker = new Taker();
    const offers = taker.offer();
    taker.fetch.note('a', 3);
    const [first] = taker.ask('a');
    taker.take('a', taker.answerOf(offers, first!.message));
    taker.fetch.note('a', 9);
    const [asked] = taker.ask('a');
    expect(asked).toMatchObject({ to: 'a', message: { type: 'part-want', height: 3 } });
    expect(taker.take('a', taker.answerOf(offers, asked!.message))?.manifest.height).toBe(3);
  });

  it('when it does not have the header of the checkpoint', () => {
    const taker = new Taker((blocks) => ({ height: 2, digest: blocks.ledger.tip.digest }));
    taker.fetch.note('a', 3);
    const [asked] = taker.ask('a');
    taker.take('a', taker.answerOf(taker.offer(), asked!.message));
    expect([taker.lies, taker.ask('a')]).toEqual([[], []]);
  });

  it('when the checkpoint is the last block of an epoch, and that of the snapshot', () => {
    const taker = new Taker((blocks) => {
      const [a, b] = membersOf(3) as [Member, Member];
      blocks.decide([a], [{ op: 'add', nodeId: b.nodeId }]);
      return { height: 2, digest: sha256Hex(headerAt(blocks)) };
    }, 1);
    expect(taker.blocks.ledger.handovers.map(({ height }) => height)).toEqual([2]);
    taker.fetch.note('a', 2);
    const offers = taker.offer();
    for (let at = 0; at < 2; at += 1) {
      for (const { message } of taker.ask('a')) taker.take('a', taker.answerOf(offers, message));
    }
    expect([taker.lies, taker.fetch.trustedHeight]).toEqual([[], 2]);
  });
});

describe('a source that is slow by design', () => {
  it('gets so much time for its rows, and no more', () => {
    const taker = new Taker();
    taker.fetch.note('slow', 3);
    const [asked] = taker.ask('slow');
    const honest = taker.answerOf(taker.offer(), asked!.message);
    if (honest.type !== 'snapshot') throw new Error('it is a manifest');
    taker.take('slow', { ...honest, manifest: { ...honest.manifest!, pages: 500 } });
    const begun = taker.now;
    let count = 0;
    for (let wants = taker.ask('slow'); wants.length > 0; wants = taker.ask('slow')) {
      taker.now += 2.9 * SECOND;
      for (const { message } of wants) {
        if (message.type !== 'page-want') throw new Error('only pages are asked for');
        count += 1;
        taker.take('slow', { type: 'page', height: 3, index: message.index, rows: [] });
      }
    }
    expect([count < 500, taker.now - begun < 3 * MINUTE]).toEqual([true, true]);
    expect(taker.lies).toEqual([]);
  });

  it('sends no more in its pages than all of them may have', () => {
    const taker = new Taker();
    taker.fetch.note('big', 3);
    const [asked] = taker.ask('big');
    const honest = taker.answerOf(taker.offer(), asked!.message);
    if (honest.type !== 'snapshot') throw new Error('it is a manifest');
    taker.take('big', { ...honest, manifest: { ...honest.manifest!, pages: 500 } });
    const row = { table: TABLES.members, key: 'k', value: new Uint8Array(MIB) };
    let count = 0;
    while (taker.lies.length === 0) {
      for (const { message } of taker.ask('big')) {
        if (message.type !== 'page-want') throw new Error('only pages are asked for');
        taker.take('big', { type: 'page', height: 3, index: message.index, rows: [row] });
        count += 1;
      }
    }
    expect(count * MIB).toBeLessThan(LIMITS.snapshotPages * LIMITS.partBytes + 16 * MIB);
  });
});

it('who asks for much gets no more than its share, and not what fits into no message', () => {
  const taker = new Taker();
  const offers = taker.offer();
  const serving = new Serving();
  const turn = new Turn(instant(0));
  for (let at = 0; at < 100; at += 1) {
    offers.answer(turn, serving, 'greedy', { type: 'part-want', height: 3, prefix: '' });
  }
  expect(turn.build().messages.length).toBeLessThan(LIMITS.partsAtOnce * 2);
});

describe('a node', () => {
  const bogus = (node: TestNode, height: number, base = 1) => ({
    ...{ type: 'announce' as const, height, digest: '00'.repeat(32), base },
    snapshot: node.chain.height + 5000,
  });

  it('goes on with blocks while somebody offers a snapshot that it does not give', () => {
    const scene = sceneOf(3, 2);
    const { cluster, first, others, away } = scene;
    const liar = others.at(-1)!;
    begin(scene);
    cluster.runUntil(() => away.chain.height === first.chain.height);
    cluster.isLost = (from, _to, { body }) =>
      from === liar && Buffer.from(body).includes('snapshot');
    for (let at = 0; at < 8; at += 1) {
      const body = encodeMessage(bogus(liar, first.chain.height));
      cluster.deliver(liar, { to: away.nodeId, protocol: CHAIN_PROTOCOL, body });
      cluster.run(20);
      const written = cluster.now;
      write(cluster, first);
      expect(away.chain.height).toBe(first.chain.height);
      expect(cluster.now - written).toBeLessThan(SECOND);
      cluster.run(5 * SECOND);
    }
    expect(away.told('liar')).toEqual([]);
  });

  it('that has pruned what it is just reading for another says nothing, and is not named', () => {
    const scene = sceneOf(40);
    const { cluster, first, away } = scene;
    let count = 0;
    cluster.isLost = (from, to, { body }) => {
      if (from !== away || to !== first || !Buffer.from(body).includes('want')) return false;
      count += 1;
      // The rows go before the chain hears of it.
      for (const [name, { table, key }] of first.rows) {
        if (table === TABLES.blocks && Number(key.split('/')[0]) < 30) first.rows.delete(name);
      }
      return false;
    };
    begin({ ...scene, others: [first] });
    cluster.run(2 * SECOND);
    expect([count > 0, away.chain.height, away.told('liar')]).toEqual([true, 0, []]);
    cluster.restart(first);
    prune(cluster, first, 30);
    cluster.runUntil(() => away.chain.height === 40);
    expect(away.told('liar')).toEqual([]);
  });

  it('takes no block at the height of the checkpoint but that, though its peers decide it', () => {
    const cluster = new TestCluster({ custodians: 4 });
    const [first, , , fourth] = cluster.nodes as [TestNode, TestNode, TestNode, TestNode];
    fourth.checkpoint = { height: 2, digest: 'cd'.repeat(32) };
    cluster.restart(fourth);
    write(cluster, first);
    cluster.submit(first, intentOf(first.member, 2, { version: 'two' }));
    cluster.runUntil(() => first.chain.height === 2);
    cluster.run(5 * SECOND);
    expect([fourth.chain.height, fourth.chain.status().isVoting]).toEqual([1, false]);
  });

  it('installs no snapshot from which it could not start again', () => {
    const scene = sceneOf(60);
    const { cluster, first, others, away } = scene;
    pruneAll(scene);
    const liars = others.slice(1);
    // Heights of entries stand in no leaf.
    const twist = (
      message: Parameters<
        Parameters<typeof lieTo>[1] extends ReadonlyMap<TestNode, infer T> ? T : never
      >[0],
    ) =>
      message.type === 'page' && message.rows !== undefined
        ? {
            ...message,
            rows: message.rows.map((row) => {
              if (row.table !== TABLES.successions) return row;
              const value = encode({
                ...(decode(row.value, { maxBytes: MIB }) as object),
                height: 3,
              });
              return { ...row, value };
            }),
          }
        : undefined;
    lieTo(scene, new Map(liars.map((node) => [node, twist])));
    begin({ ...scene, others: liars });
    cluster.run(20 * SECOND);
    expect(away.chain.height).toBe(0);
    cluster.connect(away, first);
    cluster.connect(first, away);
    cluster.runUntil(() => away.chain.height === first.chain.height);
    cluster.restart(away);
    expect(away.told('liar').map(({ nodeId }) => nodeId)).not.toContain(first.nodeId);
  });
});
