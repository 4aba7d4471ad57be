import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/core/kb/limits.ts';
import { encodeMerge, openMerge } from '../../../src/core/model/merge.ts';
import { openVersion, type SignedVersion, versionCidOf } from '../../../src/core/model/version.ts';
import { contentOf, keyOfAuthor, versionOf } from './authors.ts';
import { ana, bea, cai, dan, Node } from './replication-node.ts';

const first = versionOf(ana, { path: 'doc', sequence: 1 });
const a = versionOf(ana, { path: 'doc', sequence: 2, parents: [first.cid], generation: 2 });
const b = versionOf(bea, { path: 'doc', sequence: 1, parents: [first.cid], generation: 2 });
const mergeOf = (text = 'merged', conflicts: readonly { at: string }[] = []): SignedVersion =>
  openMerge(
    encodeMerge({
      ...{ path: 'doc', root: contentOf(text), sizeBytes: 6, parents: [a.cid, b.cid] },
      ...{ generation: 3, time: 1000, conflicts },
    }),
  );
const merge = mergeOf();
const after = versionOf(cai, { path: 'doc', sequence: 1, parents: [merge.cid], generation: 4 });

const knowing = (...versions: SignedVersion[]): Node => {
  const node = new Node(dan);
  node.step({ type: 'start' });
  node.up(ana, bea, cai);
  const bytes = versions.map((version) => version.bytes);
  node.message(ana, { type: 'versions', versions: bytes, isMore: false });
  return node;
};
const wantedOf = ({ sent }: ReturnType<Node['step']>) =>
  sent.flatMap(({ to, message }) =>
    message.type === 'wanted' ? [[to, ...message.versions.map(String)]] : [],
  );

describe('a merge', () => {
  it('that a final block has brought takes the place of the heads', () => {
    const node = knowing(first, a, b);
    expect(node.machine.graph.headCount('doc')).toBe(2);
    const { told } = node.step({ type: 'merges', records: [merge.bytes] });
    expect(told.filter(({ type }) => type === 'version-added')).toHaveLength(1);
    expect(node.machine.graph.heads('doc').map(({ cidText }) => cidText)).toEqual([merge.cidText]);
    expect(node.machine.graph.vector().has('merge')).toBe(false);
  });

  it('waits for what it follows, which is asked for', () => {
    const node = knowing(first, a);
    const asked = node.step({ type: 'merges', records: [merge.bytes] });
    expect(wantedOf(asked).map(([, ...names]) => names)).toContainEqual([b.cidText]);
    node.message(bea, { type: 'records', records: [b.bytes] });
    expect(node.machine.graph.shown('doc')?.cidText).toBe(merge.cidText);
  });

  it('that is followed and unknown is asked for at who has told of it', () => {
    const node = knowing(first, a, b);
    const told = { type: 'versions', versions: [after.bytes], isMore: false } as const;
    expect(wantedOf(node.message(cai, told))).toEqual([[cai.nodeId, merge.cidText]]);
    node.message(cai, { type: 'records', records: [merge.bytes] });
    expect(node.machine.graph.shown('doc')?.cidText).toBe(after.cidText);
  });

  it('that nobody has named is not taken', () => {
    const node = knowing(first, a, b);
    node.message(cai, { type: 'records', records: [merge.bytes] });
    expect(node.machine.graph.has(merge.cidText)).toBe(false);
  });

  it('that does not come is asked for again', () => {
    const node = knowing(first, a, b);
    node.step({ type: 'missing', versions: [merge.cidText] });
    expect(wantedOf(node.ring('vector')).map(([, name]) => name)).toContain(merge.cidText);
  });

  it('is given to whoever wants it, and versions are too, as far as they fit', () => {
    const node = knowing(first, a, b);
    node.step({ type: 'merges', records: [merge.bytes] });
    const versions = [merge.cid, a.cid, contentOf('none')];
    const [answer] = node.message(bea, { type: 'wanted', versions }).sent;
    expect(answer).toMatchObject({ to: bea.nodeId, message: { type: 'records' } });
    const { message } = answer!;
    const records = message.type === 'records' ? message.records : [];
    expect(records.map((record) => versionCidOf(record).toString())).toEqual([
      merge.cidText,
      a.cidText,
    ]);
    expect(openVersion(records[1]!, keyOfAuthor).cidText).toBe(a.cidText);
    expect(node.message(bea, { type: 'wanted', versions: [contentOf('x')] }).sent).toEqual([]);
  });

  it('is one of so many that are wanted at a time', () => {
    const node = knowing(first);
    const names = Array.from({ length: LIMITS.wantedRecords + 1 }, (_, n) =>
      versionCidOf(Buffer.from(`${n}`)).toString(),
    );
    node.step({ type: 'missing', versions: names });
    const asked = () => wantedOf(node.ring('vector')).flatMap(([, ...wanted]) => wanted);
    const again = new Set(asked());
    expect(again.has(names[0]!)).toBe(false);
    expect(again.has(names[1]!)).toBe(true);
    expect(again.size).toBe(LIMITS.messageItems);
    // What does not come makes room for the others.
    const next = new Set(asked());
    expect(next.has(names[1]!)).toBe(false);
  });
});

describe('paths with conflicts', () => {
  it('are listed while such a merge is shown, and not longer, also after a restart', () => {
    const node = knowing(first, a, b);
    const conflicting = mergeOf('other', [{ at: '' }]);
    node.step({ type: 'merges', records: [conflicting.bytes] });
    expect(node.machine.conflicted('', undefined, 9)).toEqual(['doc']);
    expect(node.machine.conflicted('e', undefined, 9)).toEqual([]);
    expect(node.machine.conflicted('', 'doc', 9)).toEqual([]);
    node.restart();
    expect(node.machine.conflicted('', undefined, 9)).toEqual(['doc']);
    node.up(cai);
    const ended = versionOf(cai, {
      ...{ path: 'doc', sequence: 1, generation: 4 },
      parents: [conflicting.cid],
    });
    node.message(cai, { type: 'versions', versions: [ended.bytes], isMore: false });
    expect(node.machine.conflicted('', undefined, 9)).toEqual([]);
  });
});
