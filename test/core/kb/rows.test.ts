/** What lies in rows goes on after a restart, and in steps that stay short (W40, W41). */
import { describe, expect, it } from 'vitest';
import { accountKey } from '../../../src/core/kb/accounts.ts';
import { LIMITS } from '../../../src/core/kb/limits.ts';
import type { KbMessage } from '../../../src/core/kb/messages.ts';
import { Replication, type ReplicationOutcome } from '../../../src/core/kb/replication.ts';
import { TABLES } from '../../../src/core/kb/store.ts';
import { MemoryRows } from '../../../src/core/memory-rows.ts';
import type { SignedVersion } from '../../../src/core/model/version.ts';
import { instant } from '../../../src/core/units.ts';
import { contentOf, keyOfAuthor, versionOf } from './authors.ts';
import { ana, bea, cai, dan, elsewhere, kinds, Node, stored } from './replication-node.ts';

const members = (...nodes: (typeof ana)[]) =>
  nodes.map(({ nodeId }, i) => ({ nodeId, weight: 100, zone: `z${i}` }));

const manyBy = (author: typeof ana, count: number) =>
  Array.from({ length: count }, (_, i) =>
    versionOf(author, { path: `p${i}`, sequence: i + 1, root: contentOf(`rows ${i}`) }),
  );

function hear(node: Node, versions: readonly SignedVersion[]): void {
  for (let i = 0; i < versions.length; i += LIMITS.messageVersions) {
    const page = versions.slice(i, i + LIMITS.messageVersions).map(({ bytes }) => bytes);
    node.message(bea, { type: 'versions', versions: page, isMore: false });
  }
}

describe('placing that was cut by a restart', () => {
  const versions = manyBy(bea, 300);

  it('goes on where it was', () => {
    const node = new Node(ana, { members: members(bea, cai, dan) });
    hear(node, versions);
    node.step({ type: 'members', members: members(ana) });
    const { wanted } = node.machine.backlog;
    expect(wanted).toBe(64);
    node.restart({ members: members(ana) });
    expect(node.machine.backlog.wanted).toBe(wanted);
    node.step({ type: 'start' });
    expect(node.machine.backlog.wanted).toBe(128);
    while (node.alarms.has('place')) node.ring('place');
    expect(node.machine.backlog.wanted).toBe(300);
  });

  it('begins anew when others keep the cluster than before it', () => {
    const node = new Node(ana, { members: members(bea, cai, dan) });
    hear(node, versions);
    node.restart({ members: members(ana) });
    expect(node.machine.backlog.wanted).toBe(0);
    node.step({ type: 'start' });
    while (node.alarms.has('place')) node.ring('place');
    expect(node.machine.backlog.wanted).toBe(300);
    // And is not done again.
    node.restart({ members: members(ana) });
    expect(node.step({ type: 'start' }).ready.alarms.map(({ key }) => key)).not.toContain('place');
  });

  it('wants nothing any more that others keep now', () => {
    const node = new Node(ana, { members: members(ana) });
    hear(node, versions.slice(0, 20));
    expect(node.machine.backlog.wanted).toBe(20);
    node.step({ type: 'members', members: members(bea) });
    expect(node.machine.backlog).toMatchObject({ wanted: 0, underReplicated: 0 });
    expect(node.rows.range({ table: TABLES.queues, from: '', limit: 1 })).toEqual([]);
  });
});

it('roots that were being fetched are fetched anew after a restart', () => {
  const node = new Node(ana, { members: members(ana), maxFetches: 1 });
  hear(node, manyBy(bea, 3));
  const fetched = (told: readonly ReplicationOutcome[]) =>
    told.filter((one) => one.type === 'fetchWanted').map(({ root }) => root);
  const [first] = fetched(node.step({ type: 'peer-up', nodeId: bea.nodeId }).told);
  node.step({ type: 'stored', root: first! });
  node.restart({ members: members(ana), maxFetches: 1 });
  const seen: string[] = [];
  let next = fetched(node.step({ type: 'peer-up', nodeId: bea.nodeId }).told);
  while (next.length > 0) {
    expect(next).toHaveLength(1);
    seen.push(next[0]!.toString());
    next = fetched(node.step({ type: 'stored', root: next[0]! }).told);
  }
  expect(seen).toHaveLength(2);
  expect(seen).not.toContain(first!.toString());
});

describe('a peer that believes something wrong', () => {
  const wrong: KbMessage = {
    type: 'vector',
    entries: [],
    held: new Uint8Array(16).fill(1),
    isReply: false,
  };

  it('is told all anew in pieces, none of them long, until the end of the keys', () => {
    const node = new Node(ana, { members: members(ana, bea) });
    const versions = manyBy(ana, 1500);
    for (const version of versions) node.step({ type: 'local', version });
    node.up(bea);
    expect(kinds(node.message(bea, wrong).sent, bea)).not.toContain('stored');
    let sent = node.message(bea, wrong).sent;
    const named = new Set<string>();
    let from: string | undefined = '';
    while (from !== undefined) {
      for (const { message } of sent) {
        if (message.type !== 'stored') continue;
        expect(message.versions.length).toBeLessThanOrEqual(LIMITS.messageItems);
        expect(message.within?.from).toBe(from);
        from = message.within!.to;
        for (const cid of message.versions) {
          const cidText = cid.toString();
          const { root } = node.machine.graph.get(cidText)!.version;
          const key = accountKey(root, cidText);
          expect(from === undefined || key < from).toBe(true);
          named.add(cidText);
        }
      }
      if (from !== undefined) sent = node.ring(`tell/${bea.nodeId}`).sent;
    }
    expect(named.size).toBe(1500);
  });

  it('takes back what lies in a piece that does not name it, and nothing else', () => {
    const node = new Node(ana);
    const versions = manyBy(ana, 40);
    node.up(bea, cai, dan);
    for (const version of versions) {
      node.step({ type: 'local', version });
      node.message(bea, stored(version));
    }
    const believed = versions
      .filter(({ cidText }) => node.machine.copies(cidText).includes(bea.nodeId))
      .map((version) => ({ version, key: accountKey(version.version.root, version.cidText) }))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1));
    const [from, to] = [believed[3]!.key, believed[9]!.key];
    const kept = believed[5]!.version;
    node.message(bea, { type: 'stored', versions: [kept.cid], within: { from, to } });
    const left = believed.filter(({ version }) => {
      return node.machine.copies(version.cidText).includes(bea.nodeId);
    });
    expect(left).toEqual([...believed.slice(0, 3), believed[5], ...believed.slice(9)]);
  });
});

describe('versions that count no more (A3)', () => {
  it('are taken out at the start, with what follows them and its copies', () => {
    const first = versionOf(ana, { path: 'a', sequence: 1, root: elsewhere.version.root });
    const forged = versionOf(ana, { path: 'a', sequence: 2, parents: [first.cid], generation: 2 });
    const fooled = versionOf(bea, { path: 'a', sequence: 1, parents: [forged.cid], generation: 3 });
    const apart = versionOf(bea, { path: 'b', sequence: 2 });
    const node = new Node(bea);
    hear(node, [first, forged, fooled, apart]);
    expect(node.machine.graph.size).toBe(4);
    const { wanted } = node.machine.backlog;
    // The succession of ana has sealed one version.
    const keyOf = (author: string, keyEpoch: number, sequence: number) =>
      author === ana.nodeId && keyEpoch === 0 && sequence > 1 ? undefined : keyOfAuthor(author);
    const rows = new MemoryRows();
    for (const table of Object.values(TABLES)) {
      for (const { key, value } of node.rows.range({ table, from: '', limit: 1000 })) {
        rows.apply([{ table, key, value }]);
      }
    }
    const options = { nodeId: bea.nodeId, members: members(ana, bea, cai, dan), replicas: 3 };
    const machine = new Replication(options, { keyOf }, rows);
    machine.step({ type: 'start' }, instant(0));
    expect(machine.graph.size).toBe(2);
    expect(machine.graph.shown('a')?.cidText).toBe(first.cidText);
    expect(machine.graph.get(forged.cidText)).toBeUndefined();
    expect(machine.graph.nextSequence(ana.nodeId)).toBe(2);
    expect(machine.graph.nextSequence(bea.nodeId)).toBe(3);
    expect(machine.backlog.wanted).toBeLessThanOrEqual(wanted);
    expect(machine.copies(fooled.cidText)).toEqual([]);
  });
});

it('the content store whose roots were compared is remembered', () => {
  const node = new Node(ana);
  expect(node.machine.contentId).toBeUndefined();
  node.step({ type: 'content', id: 'ab12' });
  node.restart();
  expect(node.machine.contentId).toBe('ab12');
  expect(node.machine.roots(undefined, 10)).toEqual([]);
  node.step({ type: 'local', version: elsewhere });
  expect(node.machine.roots(undefined, 10).map(String)).toEqual([
    elsewhere.version.root.toString(),
  ]);
});
