import type { CID } from 'multiformats/cid';
import { describe, expect, it } from 'vitest';
import { LEAVE_ALARM } from '../../../src/core/kb/leaving.ts';
import type { SignedVersion } from '../../../src/core/model/version.ts';
import type { Verified } from '../../../src/core/units.ts';
import { versionOf } from './authors.ts';
import { ana, atHome, bea, cai, dan, elsewhere, Node, stored } from './replication-node.ts';

const others = [bea, cai, dan];

/** ana has written a version, and those who are to hold it have said that they do. */
function written(version: Verified<SignedVersion>, options = {}): Node {
  const node = new Node(ana, options);
  node.step({ type: 'start' });
  node.up(...others);
  node.step({ type: 'local', version });
  for (const peer of others) node.message(peer, stored(version));
  return node;
}

/** The next version of the same path, with another content that is to be here, too. */
function follow(version: Verified<SignedVersion>): Verified<SignedVersion> {
  const node = new Node(ana);
  for (let n = 0; ; n += 1) {
    const next = versionOf(ana, {
      path: version.version.path,
      sequence: 2,
      parents: [version.cid],
      generation: 2,
      message: `${n}`,
      root: versionOf(ana, { path: `other ${n}`, sequence: 1 }).version.root,
    });
    if (node.machine.holders(next.version.root).placed.includes(ana.nodeId)) return next;
  }
}

const letGo = (node: Node, root: CID, isDry = false): string[] => {
  const { told } = node.step({ type: 'let-go', roots: [root], isDry });
  return told.flatMap((one) => (one.type === 'let-go' ? one.roots.map(String) : []));
};

/** Everybody says what of what was asked is there. */
function asked(node: Node, root: CID): void {
  for (const peer of others) node.message(peer, { type: 'here', roots: [root] });
  node.ring(LEAVE_ALARM);
}

describe('W23, W29: what is held', () => {
  const { root } = elsewhere.version;

  it('an author keeps what it wrote until all holders have said that they do', () => {
    const node = written(elsewhere);
    expect(node.machine.isToHold(root)).toBe(true);
    node.ring(LEAVE_ALARM);
    asked(node, root);
    expect(node.machine.isToHold(root)).toBe(false);
    expect(letGo(node, root)).toEqual([String(root)]);
    expect(node.machine.hasRoot(root)).toBe(false);
    // It does not want it back when they are placed anew: the last of them is the first now.
    const last = node.machine.holders(root).placed.at(-1)!;
    const weightOf = (nodeId: string): number => (nodeId === last ? 1_000_000 : 1);
    const members = [bea, cai, dan].map(({ nodeId }) => {
      return { nodeId, weight: weightOf(nodeId), zone: nodeId };
    });
    const { told } = node.step({ type: 'members', members });
    expect(node.machine.holders(root).placed[0]).toBe(last);
    expect(told.filter(({ type }) => type === 'fetchWanted')).toEqual([]);
    expect(node.machine.backlog.wanted).toBe(0);
  });

  it('what is placed here is to be held, and is not let go', () => {
    const node = written(atHome);
    expect(node.machine.isToHold(atHome.version.root)).toBe(true);
    expect(letGo(node, atHome.version.root)).toEqual([]);
    expect(node.machine.hasRoot(atHome.version.root)).toBe(true);
  });

  it('what nobody has named is let go, and a question changes nothing', () => {
    const node = new Node(ana);
    node.step({ type: 'stored', root });
    expect(letGo(node, root, true)).toEqual([String(root)]);
    expect(node.machine.hasRoot(root)).toBe(true);
    expect(letGo(node, root)).toEqual([String(root)]);
    node.restart();
    expect(node.machine.hasRoot(root)).toBe(false);
  });
});

describe('W30: what retention lets go', () => {
  const { root } = atHome.version;
  const next = follow(atHome);
  const followed = (options: object): Node => {
    const node = written(atHome, options);
    node.step({ type: 'local', version: next });
    for (const peer of others) node.message(peer, stored(next));
    return node;
  };

  it('is not counted, offered or held any more; heads are', () => {
    const node = followed({ retention: { keepLast: 0 } });
    node.step({ type: 'release', versions: [atHome.cidText, next.cidText] });
    expect(letGo(node, root)).toEqual([String(root)]);
    expect(letGo(node, next.version.root)).toEqual([]);
    expect(node.machine.backlog).toEqual({ wanted: 0, underReplicated: 0 });
    const { sent } = node.message(bea, { type: 'offer', versions: [atHome.cid] });
    expect(sent).toEqual([]);
    expect(node.machine.graph.get(atHome.cidText)?.cidText).toBe(atHome.cidText);
  });

  it('is what the rule says at that step, whatever somebody found before', () => {
    const node = followed({ retention: { keepLast: 1 } });
    node.step({ type: 'release', versions: [atHome.cidText] });
    expect(letGo(node, root)).toEqual([]);
  });

  it('is not fetched for ever where nobody has it', () => {
    const node = new Node(ana, { retention: { keepLast: 0 } });
    node.step({ type: 'start' });
    node.up(bea);
    node.message(bea, { type: 'versions', versions: [atHome.bytes, next.bytes], isMore: false });
    expect(node.machine.backlog.wanted).toBe(2);
    node.step({ type: 'fetch-failed', root });
    node.step({ type: 'fetch-failed', root: next.version.root });
    expect(node.machine.backlog.wanted).toBe(1);
  });
});
