/** W46: what a version that shreds takes from the other versions of its path. */
import { expect, test } from 'vitest';
import { isShredded, retained } from '../../../src/core/kb/retention.ts';
import { KbStore } from '../../../src/core/kb/store.ts';
import { VersionGraph } from '../../../src/core/kb/versions.ts';
import { MemoryRows } from '../../../src/core/memory-rows.ts';
import type { SignedVersion, Version } from '../../../src/core/model/version.ts';
import { authors, versionOf } from './authors.ts';

function history() {
  const store = new KbStore(new MemoryRows());
  const graph = new VersionGraph({}, store);
  let sequence = 0;
  const write = (parents: readonly SignedVersion[], more: Partial<Version> = {}) => {
    sequence += 1;
    const signed = versionOf(authors[0]!, {
      ...{ path: 'doc', sequence, parents: parents.map(({ cid }) => cid) },
      generation: Math.max(0, ...parents.map(({ version }) => version.generation)) + 1,
      ...more,
    });
    graph.add(signed);
    return signed;
  };
  return { graph, write };
}
const SHRED = { deleted: true, shredded: true } as const;

test('all versions that it follows are shredded, and none that follows it', () => {
  const { graph, write } = history();
  const [first, other] = [write([]), write([], { path: 'other' })];
  const second = write([first]);
  const shred = write([second], SHRED);
  const after = write([shred]);
  expect([...graph.shreds('doc')].map(({ cidText }) => cidText)).toEqual([shred.cidText]);
  expect([...graph.shreds()]).toHaveLength(1);
  expect([...graph.shreds('other')]).toEqual([]);
  const isGone = (signed: SignedVersion) => isShredded(graph, signed);
  expect([first, second, shred, after, other].map(isGone)).toEqual([
    ...[true, true, false, false, false],
  ]);
  const kept = [...retained(graph.history('doc'), { keepLast: 100 }, 0)]
    .filter(({ rule }) => rule !== undefined)
    .map(({ version }) => version.cidText);
  expect(kept).toEqual([after.cidText, shred.cidText]);
});

test('a deletion without it shreds nothing', () => {
  const { graph, write } = history();
  const first = write([]);
  write([first], { deleted: true });
  expect([...graph.shreds('doc')]).toEqual([]);
  expect(isShredded(graph, first)).toBe(false);
});

test('only a deletion can shred', () => {
  const { write } = history();
  expect(() => write([], { shredded: true })).toThrow('shreds what it does not delete');
  expect(() => write([], { deleted: true, shredded: false })).toThrow('shreds what it does not');
});
