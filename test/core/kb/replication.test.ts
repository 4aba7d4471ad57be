import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/core/kb/limits.ts';
import { encodeMessage, type KbMessage } from '../../../src/core/kb/messages.ts';
import { Replication, type ReplicationOutcome } from '../../../src/core/kb/replication.ts';
import { TABLES } from '../../../src/core/kb/store.ts';
import { MemoryRows } from '../../../src/core/memory-rows.ts';
import type { SignedVersion } from '../../../src/core/model/version.ts';
import { MINUTE, SECOND } from '../../../src/core/units.ts';
import { type Author, authors, contentOf, keyOfAuthor, versionOf } from './authors.ts';
import {
  ana,
  atHome,
  bea,
  cai,
  dan,
  elsewhere,
  kinds,
  Node,
  type Sent,
  stored,
} from './replication-node.ts';

describe('a new version', () => {
  it('is made durable, pushed to all, offered to its holders, and counted', () => {
    const node = new Node(ana);
    node.up(bea, cai, dan);
    const { sent, told, ready } = node.step({ type: 'local', version: elsewhere });
    expect(ready.entries.map(({ table }) => table)).toEqual(
      expect.arrayContaining([TABLES.roots, TABLES.versions]),
    );
    expect(told.map(({ type }) => type)).toEqual(['version-added']);
    for (const peer of [bea, cai, dan]) expect(kinds(sent, peer)).toEqual(['versions', 'offer']);
    const first = node.message(bea, stored(elsewhere));
    expect(first.told).toEqual([
      {
        type: 'replicated',
        version: elsewhere.cidText,
        root: elsewhere.version.root,
        copies: 2,
        nodes: [ana.nodeId, bea.nodeId],
      },
    ]);
    expect(node.message(bea, stored(elsewhere)).ready.entries).toEqual([]);
    expect(node.machine.holders(elsewhere.version.root).confirmed).toHaveLength(2);
  });

  it('is offered again with growing pauses, only to who has not confirmed, for ever', () => {
    const node = new Node(ana);
    node.up(bea, cai);
    node.step({ type: 'local', version: elsewhere });
    node.message(bea, stored(elsewhere));
    let last = node.now;
    const pauses: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      const { sent } = node.ring(`offer/${cai.nodeId}`);
      expect(kinds(sent, cai)).toEqual(['offer']);
      pauses.push(node.now - last);
      last = node.now;
    }
    expect(Math.max(...pauses)).toBeLessThanOrEqual(MINUTE);
    expect(pauses.at(-1)).toBeGreaterThanOrEqual(MINUTE / 2);
    expect(pauses[0]).toBeLessThanOrEqual(SECOND);
    expect(node.ring(`offer/${bea.nodeId}`).sent).toEqual([]);
    node.message(cai, stored(elsewhere));
    expect(node.ring(`offer/${cai.nodeId}`).sent).toEqual([]);
    expect(node.alarms.has(`offer/${cai.nodeId}`)).toBe(false);
  });

  it('survives a restart with what was known of its copies', () => {
    const node = new Node(ana);
    node.up(bea);
    node.step({ type: 'local', version: elsewhere });
    node.message(bea, stored(elsewhere));
    node.restart();
    expect(node.machine.graph.shown('doc')?.cidText).toBe(elsewhere.cidText);
    expect(node.machine.copies(elsewhere.cidText)).toEqual([ana.nodeId, bea.nodeId]);
    const { told } = node.step({ type: 'want', version: elsewhere.cidText, copies: 2 });
    expect(told.map(({ type }) => type)).toEqual(['replicated']);
    node.up(cai);
    expect(kinds(node.ring(`offer/${cai.nodeId}`).sent, cai)).toEqual(['offer']);
  });

  it('that was not replicated before a restart is told when it is', () => {
    const node = new Node(ana);
    node.step({ type: 'local', version: elsewhere });
    node.restart();
    node.up(bea);
    const { told } = node.message(bea, stored(elsewhere));
    expect(told.map(({ type }) => type)).toEqual(['replicated']);
  });

  it('that only holds a deletion needs no content', () => {
    const gone = versionOf(ana, {
      path: 'x',
      sequence: 1,
      deleted: true,
      root: elsewhere.version.root,
    });
    const node = new Node(bea);
    node.up(ana);
    const { told, sent } = node.message(ana, {
      type: 'versions',
      versions: [gone.bytes],
      isMore: false,
    });
    expect(told.map(({ type }) => type)).toEqual(['version-added']);
    expect(kinds(sent, ana)).toEqual(['stored']);
  });
});

describe('a holder', () => {
  const push = (version: SignedVersion): KbMessage => ({
    type: 'versions',
    versions: [version.bytes],
    isMore: false,
  });

  it('wants the content, and says so to all whom it concerns when it is durable', () => {
    const node = new Node(bea);
    node.up(ana, cai, dan);
    const { told, sent } = node.message(ana, push(elsewhere));
    expect(told.map(({ type }) => type)).toEqual(['version-added', 'fetchWanted']);
    expect(told[1]).toMatchObject({ root: elsewhere.version.root, sizeBytes: 10 });
    expect(told[1]).toHaveProperty('sources.0', ana.nodeId);
    // Passed on to the others, and no copy claimed yet.
    for (const peer of [cai, dan]) expect(kinds(sent, peer)).toEqual(['versions']);
    const done = node.step({ type: 'stored', root: elsewhere.version.root });
    expect(kinds(done.sent, ana)).toEqual(['stored']);
    for (const peer of [cai, dan]) expect(kinds(done.sent, peer)).toEqual(['offer']);
    expect(node.machine.backlog.wanted).toBe(0);
  });

  it('answers an offer when it has a copy, and not before', () => {
    const node = new Node(bea);
    node.up(ana);
    node.message(ana, push(elsewhere));
    const offer: KbMessage = { type: 'offer', versions: [elsewhere.cid] };
    expect(node.message(ana, offer).sent).toEqual([]);
    node.step({ type: 'stored', root: elsewhere.version.root });
    const { sent } = node.message(ana, offer);
    expect(sent.map(({ message }) => message)).toEqual([stored(elsewhere)]);
  });

  it('asks for versions that an offer names and that it does not know', () => {
    const node = new Node(bea);
    node.up(ana);
    const { sent } = node.message(ana, { type: 'offer', versions: [elsewhere.cid] });
    expect(kinds(sent, ana)).toEqual(['vector']);
  });

  it('tries a fetch that failed again later, and at once when a source comes up', () => {
    const node = new Node(bea);
    node.up(ana);
    node.message(ana, push(elsewhere));
    const { root } = elsewhere.version;
    expect(node.step({ type: 'fetch-failed', root }).told).toEqual([]);
    const again = node.ring('fetch');
    expect(again.told.map(({ type }) => type)).toEqual(['fetchWanted']);
    node.step({ type: 'fetch-failed', root });
    const hastened = node.step({ type: 'peer-up', nodeId: cai.nodeId });
    expect(hastened.told.map(({ type }) => type)).toEqual(['fetchWanted']);
  });

  it('wants nothing while no source is connected, and wants it again after a restart', () => {
    const node = new Node(bea);
    node.up(ana);
    node.message(ana, push(elsewhere));
    node.restart();
    expect(node.step({ type: 'start' }).told).toEqual([]);
    expect(node.step({ type: 'peer-up', nodeId: ana.nodeId }).told).toMatchObject([
      { type: 'fetchWanted' },
    ]);
  });

  it('fetches a few roots at a time', () => {
    // One author has three quarters of the places.
    const node = new Node(bea, { maxFetches: 4 });
    node.up(ana);
    const versions = Array.from({ length: 40 }, (_, i) =>
      versionOf(ana, { path: `p${i}`, sequence: i + 1, root: contentOf(`many ${i}`) }),
    );
    const message: KbMessage = {
      type: 'versions',
      versions: versions.map(({ bytes }) => bytes),
      isMore: false,
    };
    const wanted = (told: readonly ReplicationOutcome[]) =>
      told.filter((one) => one.type === 'fetchWanted');
    let open = wanted(node.message(ana, message).told);
    const all = open.length + node.machine.backlog.wanted - 3;
    expect(open).toHaveLength(3);
    let count = 0;
    for (let next = open.shift(); next !== undefined; next = open.shift()) {
      count += 1;
      open = [...open, ...wanted(node.step({ type: 'stored', root: next.root }).told)];
      expect(open.length).toBeLessThanOrEqual(3);
    }
    expect(count).toBe(all);
    expect(node.machine.backlog.wanted).toBe(0);
  });

  it('that loses a root wants it again and corrects what others believe', () => {
    const [author, holder] = [new Node(ana), new Node(bea)];
    author.up(bea);
    author.step({ type: 'local', version: elsewhere });
    holder.up(ana);
    holder.message(ana, push(elsewhere));
    holder.step({ type: 'stored', root: elsewhere.version.root });
    author.message(bea, stored(elsewhere));
    holder.step({ type: 'lost', root: elsewhere.version.root });
    expect(holder.machine.backlog.wanted).toBe(1);
    // The author says at each of its vectors what it believes; twice the same is believed wrong.
    author.step({ type: 'start' });
    const answers = [1, 2].flatMap(() => {
      const { sent } = author.ring('vector');
      return sent.flatMap(({ message }) => holder.message(ana, message).sent);
    });
    expect(answers.map(({ message }) => message)).toEqual([
      { type: 'stored', versions: [], within: { from: '' } },
    ]);
    author.step({ type: 'message', from: bea.nodeId, body: answers[0]!.body });
    expect(author.machine.copies(elsewhere.cidText)).toEqual([ana.nodeId]);
  });
});

describe('the account', () => {
  it('takes only the word of nodes that the version concerns', () => {
    const node = new Node(ana);
    node.up(bea, cai, dan);
    node.step({ type: 'local', version: atHome });
    const outside = [bea, cai, dan].find(
      ({ nodeId }) => !node.machine.holders(atHome.version.root).placed.includes(nodeId),
    )!;
    expect(node.message(outside, stored(atHome)).told).toEqual([]);
    expect(node.machine.copies(atHome.cidText)).toEqual([ana.nodeId]);
  });

  it('is kept for a version of another that somebody here waits for', () => {
    // dan writes nothing and keeps nothing of it, but was asked to put the same content.
    const version = [...Array(200).keys()]
      .map((i) => versionOf(ana, { path: 'doc', sequence: 1, root: contentOf(`guest ${i}`) }))
      .find(({ version: { root } }) => {
        return !new Node(dan).machine.holders(root).placed.includes(dan.nodeId);
      })!;
    const node = new Node(dan);
    node.up(ana, bea, cai);
    node.message(ana, { type: 'versions', versions: [version.bytes], isMore: false });
    node.step({ type: 'stored', root: version.version.root });
    const { sent } = node.step({ type: 'want', version: version.cidText, copies: 2 });
    expect(sent.map(({ message }) => message.type)).toContain('offer');
    const { told } = node.message(bea, stored(version));
    expect(told).toMatchObject([{ type: 'replicated', copies: 2 }]);
  });
});

describe('hostile messages', () => {
  it('with false signatures, strangers or forbidden generations are refused and named', () => {
    const node = new Node(bea);
    node.up(ana);
    const forged = Uint8Array.from(elsewhere.bytes);
    forged[forged.length - 1]! ^= 1;
    const high = versionOf(ana, { path: 'a', sequence: 1, generation: 9 });
    for (const bytes of [forged, high.bytes, new Uint8Array(50)]) {
      const { told, ready } = node.message(ana, {
        type: 'versions',
        versions: [bytes],
        isMore: true,
      });
      expect(told).toMatchObject([{ type: 'refused', from: ana.nodeId }]);
      expect(ready.entries).toEqual([]);
      expect(ready.messages).toEqual([]);
    }
  });

  it('that say that there is more without bringing anything are not answered', () => {
    const node = new Node(bea);
    node.up(ana);
    const page: KbMessage = { type: 'versions', versions: [elsewhere.bytes], isMore: true };
    expect(kinds(node.message(ana, page).sent, ana)).toContain('vector');
    expect(node.message(ana, page).sent).toEqual([]);
  });

  it('get answers of bounded number and size', () => {
    const node = new Node(ana);
    node.up(bea);
    for (let i = 1; i <= 300; i += 1) {
      node.step({ type: 'local', version: versionOf(ana, { path: `p${i}`, sequence: i }) });
    }
    const zero = new Uint8Array(16);
    const questions: KbMessage[] = [
      { type: 'vector', entries: [], held: zero, isReply: false },
      {
        type: 'vector',
        entries: authors.map(({ nodeId }) => ({ author: nodeId, sequence: 299, digest: zero })),
        held: zero,
        isReply: false,
      },
      {
        type: 'ranges',
        author: ana.nodeId,
        ranges: Array.from({ length: 16 }, (_, i) => ({ from: i + 1, to: i + 8, digest: zero })),
        hops: 24,
      },
    ];
    for (const question of questions) {
      const { sent } = node.message(bea, question);
      expect(sent.length).toBeLessThanOrEqual(8);
      for (const { body, message } of sent) {
        expect(body.length).toBeLessThanOrEqual(LIMITS.messageBytes);
        if (message.type === 'versions') {
          expect(message.versions.length).toBeLessThanOrEqual(LIMITS.messageVersions);
        }
      }
    }
  });

  it('never make it throw or tell more than a refusal, whatever the bytes', () => {
    const node = new Node(bea);
    node.up(ana, cai);
    const valid = [
      encodeMessage({ type: 'versions', versions: [elsewhere.bytes], isMore: false }),
      encodeMessage({ type: 'offer', versions: [elsewhere.cid] }),
      node.step({ type: 'peer-up', nodeId: dan.nodeId }).sent[0]!.body,
    ];
    const mutated = fc
      .tuple(fc.constantFrom(...valid), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }))
      .map(([bytes, changes]) => {
        const copy = Uint8Array.from(bytes);
        for (const [at, byte] of changes) copy[at % copy.length] = byte;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 100 })), (body) => {
        node.step({ type: 'message', from: ana.nodeId, body });
      }),
      { numRuns: 1000 },
    );
  });
});

describe('recover', () => {
  const damaged = expect.objectContaining({ code: 'STORE_DAMAGED' });

  it('refuses a damaged row', () => {
    const row = { table: TABLES.authors, key: ana.nodeId, value: new Uint8Array(9) };
    const options = { nodeId: ana.nodeId, members: [], replicas: 3 };
    const rows = new MemoryRows([row]);
    expect(() => new Replication(options, { keyOf: keyOfAuthor }, rows)).toThrow(damaged);
  });

  it('ends with a damaged record rather than blaming a peer for it', () => {
    const node = new Node(ana);
    node.step({ type: 'local', version: elsewhere });
    const bytes = Uint8Array.from(elsewhere.bytes);
    bytes[100]! ^= 1;
    node.rows.apply([{ table: TABLES.versions, key: elsewhere.cidText, value: bytes }]);
    node.restart();
    const asking: KbMessage = { type: 'offer', versions: [elsewhere.cid] };
    expect(() => node.message(bea, asking)).toThrow(damaged);
  });
});

describe('an author that signs very many versions of one sequence', () => {
  const flood = Array.from({ length: 300 }, (_, i) =>
    versionOf(bea, { path: 'flood', sequence: 1, time: i, message: 'x'.repeat(4000) }),
  );
  const full = (): Node => {
    const node = new Node(ana);
    for (const { bytes } of flood) {
      node.message(bea, { type: 'versions', versions: [bytes], isMore: false });
    }
    return node;
  };
  const bytesOf = (sent: readonly Sent[]): number =>
    sent.reduce((sum, { body }) => sum + body.length, 0);

  it('makes no message that others refuse as too long', () => {
    const node = full();
    node.message(cai, { type: 'versions', versions: [elsewhereBy(cai).bytes], isMore: false });
    node.up(dan);
    const empty = {
      type: 'vector',
      entries: [],
      held: new Uint8Array(16),
      isReply: false,
    } as const;
    const { sent } = node.message(dan, empty);
    // `step` has decoded all of them with the limits of the receiver.
    expect(kinds(sent, dan)).toContain('versions');
    for (const { body } of sent) expect(body.length).toBeLessThanOrEqual(LIMITS.messageBytes);
  });

  it('does not turn a short question into a flood of answers', () => {
    const node = full();
    const { sent } = node.message(dan, {
      type: 'ranges',
      author: bea.nodeId,
      ranges: Array.from({ length: 16 }, () => ({ from: 1, to: 1, digest: new Uint8Array(16) })),
      hops: 3,
    });
    expect(bytesOf(sent)).toBeLessThan(5 * LIMITS.messageBytes);
  });
});

const elsewhereBy = (author: Author) => versionOf(author, { path: 'good', sequence: 1 });
