import { describe, expect, it } from 'vitest';
import { HOUR, MINUTE, SECOND } from '../../../src/core/units.ts';
import { type Author, versionOf } from './authors.ts';
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

const { root } = elsewhere.version;
const everybody = [bea, cai, dan];
const message = (sent: readonly Sent[], to: Author, type: string) =>
  sent.find((one) => one.to === to.nodeId && one.message.type === type)?.message;

/** ana has written it, and all who are to hold it have said that they do. */
function written(version = elsewhere): Node {
  const node = new Node(ana);
  node.step({ type: 'start' });
  node.up(...everybody);
  node.step({ type: 'local', version });
  for (const peer of everybody) node.message(peer, stored(version));
  return node;
}

describe('W22: a copy that cannot be proved', () => {
  const audited = (isHeld: boolean, from: Author = bea) =>
    ({ type: 'audited', nodeId: from.nodeId, root, isHeld }) as const;

  it('does not count any more, and is offered again', () => {
    const node = written();
    expect(node.machine.backlog.underReplicated).toBe(0);
    const { sent } = node.step(audited(false));
    expect(node.machine.holders(root).confirmed).not.toContain(bea.nodeId);
    expect(node.machine.backlog.underReplicated).toBe(1);
    expect(kinds(sent, bea)).toEqual(['offer']);
  });

  it('does not count by the word of the node, which is audited again for it', () => {
    const node = written();
    node.step(audited(false));
    const { told } = node.message(bea, stored(elsewhere));
    expect(told).toEqual([{ type: 'auditWanted', nodeId: bea.nodeId, root }]);
    expect(node.machine.backlog.underReplicated).toBe(1);
    node.restart();
    node.message(bea, stored(elsewhere));
    expect(node.machine.backlog.underReplicated).toBe(1);
  });

  it('counts again when it is proved', () => {
    const node = written();
    node.step(audited(false));
    node.now += MINUTE;
    const { told } = node.step(audited(true));
    expect(told).toEqual([{ type: 'mended', root, forMs: MINUTE }]);
    expect(node.machine.backlog.underReplicated).toBe(0);
    expect(node.message(bea, stored(elsewhere)).told).toEqual([]);
  });
});

describe('W25: what is not well', () => {
  it('is listed with who is missing and since when, over restarts', () => {
    const node = new Node(ana);
    node.step({ type: 'start' });
    node.up(bea, cai);
    const since = node.now;
    node.step({ type: 'local', version: elsewhere });
    node.now += MINUTE;
    node.message(bea, stored(elsewhere));
    node.restart();
    const [only, ...others] = node.machine.upkeep.unwell(undefined, 10);
    expect(others).toEqual([]);
    expect(only).toMatchObject({ path: 'doc', since, isWanted: false, failures: 0 });
    expect(only?.missing.toSorted()).toEqual([cai.nodeId, dan.nodeId].toSorted());
    expect(only?.copies).toEqual([ana.nodeId, bea.nodeId]);
    expect(node.machine.upkeep.unwell(only?.key, 10)).toEqual([]);
  });

  it('says what is fetched, how often that failed, and when it is tried again', () => {
    const node = new Node(bea);
    node.step({ type: 'start' });
    node.up(ana);
    const push = { type: 'versions', versions: [elsewhere.bytes], isMore: false } as const;
    expect(node.message(ana, push).told[1]).toMatchObject({ isRepair: false });
    const state = () => node.machine.upkeep.unwell(undefined, 1)[0];
    expect(state()).toMatchObject({ isWanted: true, isFetching: true, failures: 0 });
    node.step({ type: 'fetch-failed', root });
    expect(state()).toMatchObject({ isFetching: false, failures: 1 });
    expect(state()?.nextAt).toBe(node.alarms.get('fetch'));
    const { told } = node.step({ type: 'repair', root, isNow: false });
    expect(told.map(({ type }) => type)).toEqual(['fetchWanted']);
  });

  it('is told when it is well again, with the time that it took', () => {
    const node = new Node(ana);
    node.step({ type: 'start' });
    node.up(...everybody);
    node.step({ type: 'local', version: elsewhere });
    node.now += 3 * SECOND;
    for (const peer of [bea, cai]) {
      const { told } = node.message(peer, stored(elsewhere));
      expect(told.map(({ type }) => type)).not.toContain('mended');
    }
    const { told } = node.message(dan, stored(elsewhere));
    expect(told).toContainEqual({ type: 'mended', root, forMs: 3 * SECOND });
    expect(node.machine.upkeep.unwell(undefined, 1)).toEqual([]);
  });

  it('fetches what was lost as a repair, and what is placed anew', () => {
    const node = written(atHome);
    const lost = node.step({ type: 'lost', root: atHome.version.root });
    expect(lost.told).toMatchObject([{ type: 'fetchWanted', isRepair: true }]);
    const foreign = versionOf(bea, { path: 'other', sequence: 1, root });
    const next = new Node(ana);
    next.step({ type: 'start' });
    next.up(bea, cai);
    next.message(bea, { type: 'versions', versions: [foreign.bytes], isMore: false });
    const { told } = next.step({ type: 'repair', root: undefined, isNow: true });
    expect(told).toMatchObject([{ type: 'fetchWanted', isRepair: true }]);
  });
});

describe('W23: a root that the placement wants elsewhere', () => {
  const asked = (node: Node, to: Author) => message(node.ring('leave').sent, to, 'asked');

  it('may go when all of its holders have said within the hour that they have it', () => {
    const node = written();
    expect(asked(node, bea)).toEqual({ type: 'asked', roots: [root] });
    const may = () => node.machine.upkeep.mayLeave(root);
    node.message(bea, { type: 'here', roots: [root] });
    node.message(cai, { type: 'here', roots: [root] });
    node.ring('leave');
    expect(may()).toBe(false);
    for (const peer of everybody) node.message(peer, { type: 'here', roots: [root] });
    expect(may()).toBe(false);
    node.ring('leave');
    expect(may()).toBe(true);
    node.now += HOUR + 1;
    node.step({ type: 'repair', root, isNow: false });
    expect(may()).toBe(false);
  });

  it('may not go after others are placed, when one is doubted, and where it is placed', () => {
    const node = written();
    const answered = () => {
      node.ring('leave');
      for (const peer of everybody) node.message(peer, { type: 'here', roots: [root] });
      node.ring('leave');
    };
    const may = () => node.machine.upkeep.mayLeave(root);
    answered();
    expect(may()).toBe(true);
    node.step({ type: 'audited', nodeId: bea.nodeId, root, isHeld: false });
    expect(may()).toBe(false);
    answered();
    expect(may()).toBe(false);
    node.step({ type: 'audited', nodeId: bea.nodeId, root, isHeld: true });
    answered();
    expect(may()).toBe(true);
    node.step({ type: 'lost', root });
    expect(may()).toBe(false);
    node.step({ type: 'stored', root });
    answered();
    const members = [bea, cai].map(({ nodeId }, i) => ({ nodeId, weight: 1, zone: `z${i}` }));
    node.step({ type: 'members', members });
    // Fewer than `replicas` others.
    answered();
    expect(may()).toBe(false);
  });

  it('believes nobody about what was not asked, and tells only what is here', () => {
    const node = written();
    node.message(bea, { type: 'here', roots: [atHome.version.root] });
    const { sent } = node.message(bea, { type: 'asked', roots: [atHome.version.root, root] });
    expect(message(sent, bea, 'here')).toEqual({ type: 'here', roots: [root] });
    expect(node.message(bea, { type: 'asked', roots: [atHome.version.root] }).sent).toEqual([]);
  });

  it('W26: a drain ends when all roots are on others, its own ones too', () => {
    const node = written(atHome);
    const drain = () => node.machine.upkeep.drain;
    expect(drain()).toEqual({ isDraining: false, left: undefined });
    node.step({ type: 'drain', isDraining: true });
    expect(drain()).toEqual({ isDraining: true, left: undefined });
    node.ring('leave');
    node.ring('leave');
    expect(drain().left).toBe(1);
    for (const peer of everybody) {
      node.message(peer, { type: 'here', roots: [atHome.version.root] });
    }
    node.ring('leave');
    expect(drain().left).toBe(0);
    node.step({ type: 'drain', isDraining: false });
    expect(drain()).toEqual({ isDraining: false, left: undefined });
  });

  it('W26: a drain does not end where nobody else could hold the roots', () => {
    const node = new Node(ana, { members: [{ nodeId: ana.nodeId, weight: 1, zone: 'z' }] });
    node.step({ type: 'start' });
    node.step({ type: 'local', version: elsewhere });
    node.step({ type: 'drain', isDraining: true });
    node.ring('leave');
    node.ring('leave');
    expect(node.machine.upkeep.drain.left).toBe(1);
  });
});
