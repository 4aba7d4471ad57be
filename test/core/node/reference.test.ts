/** What PATH and PATH@VERSION mean. */
import { beforeEach, expect, test } from 'vitest';
import { blake3 } from '../../../src/core/crypto/hash.ts';
import { BLAKE3, cidOf, RAW } from '../../../src/core/kb/block.ts';
import { VersionGraph } from '../../../src/core/kb/versions.ts';
import { createVersion, type SignedVersion } from '../../../src/core/model/version.ts';
import { resolveReference } from '../../../src/core/node/reference.ts';
import { testNode } from '../../helpers/nodes.ts';

const author = testNode(1);
const hasher = { code: BLAKE3, name: 'blake3', digest: blake3 } as const;
let graph: VersionGraph;
let sequence: number;

function write(path: string, more: { directory?: boolean; deleted?: boolean } = {}): SignedVersion {
  sequence += 1;
  const shown = graph.shown(path);
  const signed = createVersion(
    {
      path,
      root: cidOf(RAW, Buffer.from(`${path} ${sequence}`), hasher),
      sizeBytes: 1,
      parents: shown === undefined ? [] : [shown.cid],
      generation: (shown?.version.generation ?? 0) + 1,
      sequence,
      time: 1000 + sequence,
      author: author.nodeId,
      ...more,
    },
    author.signer,
  );
  graph.add(signed);
  return signed;
}

beforeEach(() => {
  graph = new VersionGraph();
  sequence = 0;
});

test('a path means its shown version', () => {
  write('notes.md');
  const second = write('notes.md');
  expect(resolveReference(graph, 'notes.md')).toEqual({ signed: second, inside: [] });
});

test('a path below a directory means what is inside, the longest path first', () => {
  const outer = write('a', { directory: true });
  const inner = write('a/b', { directory: true });
  expect(resolveReference(graph, 'a/b/c')).toEqual({ signed: inner, inside: ['c'] });
  expect(resolveReference(graph, 'a/x/y')).toEqual({ signed: outer, inside: ['x', 'y'] });
});

test('there is nothing below a file', () => {
  write('a');
  expect(() => resolveReference(graph, 'a/b')).toThrow('knows no');
});

test('a version is named whole or by its end, and reaches back behind newer ones', () => {
  const first = write('notes.md');
  write('notes.md');
  for (const mark of [first.cidText, first.cidText.slice(-10)]) {
    expect(resolveReference(graph, `notes.md@${mark}`).signed).toBe(first);
  }
  expect(() => resolveReference(graph, 'notes.md@aaaaaaaaaa')).toThrow('knows no');
});

test('a deleted path is not found, its versions are', () => {
  const first = write('notes.md');
  write('notes.md', { deleted: true });
  expect(() => resolveReference(graph, 'notes.md')).toThrow('knows no');
  expect(resolveReference(graph, `notes.md@${first.cidText}`).signed).toBe(first);
});

test('an @ in a name is a letter like others', () => {
  const signed = write('me@example.org');
  expect(resolveReference(graph, 'me@example.org').signed).toBe(signed);
});

test('bad paths are refused as such', () => {
  expect(() => resolveReference(graph, 'a//b')).toThrow();
  expect(() => resolveReference(graph, '../a')).toThrow();
});
