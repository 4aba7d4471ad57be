import { describe, expect, it } from 'vitest';
import type { KbMessage } from '../../../src/core/kb/messages.ts';
import type { ReplicationOutcome } from '../../../src/core/kb/replication.ts';
import type { SignedVersion } from '../../../src/core/model/version.ts';
import { type Author, contentOf, versionOf } from './authors.ts';
import { ana, bea, cai, dan, elsewhere, kinds, Node, stored } from './replication-node.ts';

describe('other members', () => {
  const placed = (...members: Author[]) =>
    members.map(({ nodeId }, i) => ({ nodeId, weight: 100, zone: `z${i}` }));
  const push = (version: SignedVersion): KbMessage => ({
    type: 'versions',
    versions: [version.bytes],
    isMore: false,
  });

  it('let a new holder fetch what it has to keep, from those before it', () => {
    const node = new Node(dan, { members: placed(ana, bea, cai) });
    node.up(ana, bea, cai);
    expect(node.message(ana, push(elsewhere)).told.map(({ type }) => type)).toEqual([
      'version-added',
    ]);
    const { told } = node.step({ type: 'members', members: placed(dan) });
    expect(told.map(({ type }) => type)).toEqual(['fetchWanted']);
    const [wanted] = told as Extract<ReplicationOutcome, { type: 'fetchWanted' }>[];
    expect([...wanted!.sources].toSorted()).toEqual(
      [ana, bea, cai].map(({ nodeId }) => nodeId).toSorted(),
    );
  });

  it('are offered what they lack, and what was known of the others stays known', () => {
    const node = new Node(ana, { members: placed(ana, bea, cai) });
    node.up(bea, cai, dan);
    node.step({ type: 'local', version: elsewhere });
    node.message(bea, stored(elsewhere));
    node.message(cai, stored(elsewhere));
    const { sent } = node.step({ type: 'members', members: placed(ana, bea, dan) });
    expect(kinds(sent, dan)).toEqual(['offer']);
    expect(kinds(sent, bea)).not.toContain('offer');
    expect(node.machine.copies(elsewhere.cidText)).toEqual([ana.nodeId, bea.nodeId]);
    expect(node.machine.backlog.underReplicated).toBe(1);
    node.message(dan, stored(elsewhere));
    expect(node.machine.backlog.underReplicated).toBe(0);
    expect(node.step({ type: 'want', version: elsewhere.cidText, copies: 3 }).told).toHaveLength(1);
  });

  it('are worked out a part at a time, as after a restart', () => {
    const versions = Array.from({ length: 300 }, (_, i) =>
      versionOf(bea, { path: `p${i}`, sequence: i + 1, root: contentOf(`content ${i}`) }),
    );
    const node = new Node(ana, { members: placed(bea, cai, dan) });
    for (const version of versions) node.message(bea, push(version));
    expect(node.machine.backlog.wanted).toBe(0);
    node.step({ type: 'members', members: placed(ana) });
    expect(node.machine.backlog.wanted).toBeGreaterThan(0);
    expect(node.machine.backlog.wanted).toBeLessThan(300);
    for (let n = 0; n < 4; n += 1) node.ring('place');
    expect(node.machine.backlog.wanted).toBe(300);
    expect(node.alarms.has('place')).toBe(false);
  });
});
