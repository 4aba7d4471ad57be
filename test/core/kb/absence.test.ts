import { describe, expect, it } from 'vitest';
import { MINUTE, SECOND } from '../../../src/core/units.ts';
import type { Author } from './authors.ts';
import { ana, bea, cai, dan, elsewhere, kinds, Node, stored } from './replication-node.ts';

const GRACE = 5 * MINUTE;
const { root } = elsewhere.version;
/** ana has written it; it is placed at bea, cai and dan, so that ana is the next in order. */
const started = (author: Author = ana, ...up: Author[]): Node => {
  const node = new Node(author);
  node.step({ type: 'start' });
  node.up(...up);
  return node;
};
const placed = (node: Node): string[] => node.machine.holders(root).placed.toSorted();
const ids = (...all: Author[]): string[] => all.map(({ nodeId }) => nodeId).toSorted();
const down = (node: Node, { nodeId }: Author) => node.step({ type: 'peer-down', nodeId });

describe('W20: a custodian without a connection', () => {
  it('is left out of the placement when the grace period is over, and not before', () => {
    const node = started(ana, bea, cai, dan);
    expect(node.alarms.has('absence')).toBe(false);
    down(node, dan);
    node.now += GRACE - 1;
    node.step({ type: 'alarm', key: 'absence' });
    expect(placed(node)).toEqual(ids(bea, cai, dan));
    node.ring('absence');
    expect(placed(node)).toEqual(ids(ana, bea, cai));
    expect(node.alarms.has('absence')).toBe(false);
  });

  it('has it from the start of the node, and each one from its own last moment', () => {
    const node = started(ana, bea);
    node.now += MINUTE;
    node.up(cai);
    node.now += MINUTE;
    down(node, cai);
    node.ring('absence');
    expect(placed(node)).toEqual(ids(ana, bea, cai));
    node.ring('absence');
    expect(placed(node)).toEqual(ids(ana, bea));
  });

  it('counts again as soon as it is back', () => {
    const node = started(ana, bea, cai);
    node.ring('absence');
    expect(placed(node)).toEqual(ids(ana, bea, cai));
    node.up(dan);
    expect(placed(node)).toEqual(ids(bea, cai, dan));
  });

  it('stays absent over a restart, and what was placed is not placed anew', () => {
    const node = started(ana, bea, cai);
    node.ring('absence');
    node.restart();
    expect(placed(node)).toEqual(ids(ana, bea, cai));
    expect(node.step({ type: 'start' }).ready.alarms.map(({ key }) => key)).not.toContain('place');
    node.up(dan);
    expect(placed(node)).toEqual(ids(bea, cai, dan));
  });

  it('is not judged by a node that is itself cut off', () => {
    const node = started(ana, bea, cai, dan);
    for (const peer of [bea, cai, dan]) down(node, peer);
    // It waits for no time: that would be over again and again.
    expect(node.alarms.has('absence')).toBe(false);
    node.now += GRACE;
    expect(node.step({ type: 'alarm', key: 'absence' }).ready.alarms).toEqual([]);
    expect(placed(node)).toEqual(ids(bea, cai, dan));
    node.up(bea);
    // The others have a grace period from here on.
    expect(node.alarms.get('absence')).toBe(node.now + GRACE);
    expect(placed(node)).toEqual(ids(bea, cai, dan));
    node.ring('absence');
    expect(placed(node)).toEqual(ids(ana, bea));
  });

  it('is forgotten when it is no custodian any more', () => {
    const node = started(ana, bea, cai);
    const members = [ana, bea, cai].map(({ nodeId }, i) => ({ nodeId, weight: 1, zone: `z${i}` }));
    node.step({ type: 'members', members });
    expect(node.alarms.has('absence')).toBe(false);
    expect(placed(node)).toEqual(ids(ana, bea, cai));
  });

  it('has its copies taken over: they are offered to the next, who fetches them', () => {
    const author = started(ana, bea, cai, dan);
    author.step({ type: 'local', version: elsewhere });
    for (const peer of [bea, cai, dan]) author.message(peer, stored(elsewhere));
    expect(author.machine.backlog.underReplicated).toBe(0);
    down(author, bea);
    author.ring('absence');
    // ana has it, and is the next in order.
    expect(author.machine.backlog.underReplicated).toBe(0);
    const holder = started(bea, ana, cai);
    const versions = [elsewhere.bytes];
    holder.message(ana, { type: 'versions', versions, isMore: false });
    holder.step({ type: 'stored', root });
    const { sent } = holder.ring('absence');
    expect(kinds(sent, ana)).toContain('offer');
    expect(holder.machine.backlog.underReplicated).toBe(1);
    holder.message(cai, stored(elsewhere));
    holder.message(ana, stored(elsewhere));
    expect(holder.machine.backlog.underReplicated).toBe(0);
  });
});

describe('W26: a node that drains', () => {
  it('holds nothing new, says so with each vector, and takes it back', () => {
    const node = started(bea, ana);
    const { sent } = node.step({ type: 'drain', isDraining: true });
    expect(placed(node)).toEqual(ids(ana, cai, dan));
    expect(sent.map(({ message }) => message)).toMatchObject([{ isDraining: true }]);
    node.restart();
    expect(placed(node)).toEqual(ids(ana, cai, dan));
    const back = node.step({ type: 'drain', isDraining: false });
    expect(back.sent).toEqual([]);
    expect(placed(node)).toEqual(ids(bea, cai, dan));
  });

  it('is left out by whoever hears of it, at once, until it says otherwise', () => {
    const other = started(cai, bea);
    const vector = {
      type: 'vector',
      entries: [],
      held: new Uint8Array(16),
      isReply: true,
    } as const;
    other.message(bea, { ...vector, isDraining: true });
    expect(placed(other)).toEqual(ids(ana, cai, dan));
    other.restart();
    expect(placed(other)).toEqual(ids(ana, cai, dan));
    other.message(bea, vector);
    expect(placed(other)).toEqual(ids(bea, cai, dan));
  });

  it('does not leave a root without any holder', () => {
    const node = new Node(ana, { members: [{ nodeId: ana.nodeId, weight: 1, zone: 'z' }] });
    node.step({ type: 'drain', isDraining: true });
    node.now += SECOND;
    expect(placed(node)).toEqual(ids(ana));
  });
});
