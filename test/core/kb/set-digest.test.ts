import { expect, test } from 'vitest';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { digestTree, SetDigest } from '../../../src/core/kb/set-digest.ts';
import { KbStore } from '../../../src/core/kb/store.ts';

const hashOf = (name: string): Uint8Array => sha256(Buffer.from(name));

test('digests of beginnings are those of their members, over blocks of blocks', () => {
  const places: Uint8Array[][] = [];
  const fold = (from: number, to: number): SetDigest => {
    const digest = new SetDigest();
    for (const members of places.slice(from - 1, to)) {
      for (const member of members) digest.toggle(member);
    }
    return digest;
  };
  const tree = digestTree(new KbStore(), 'ana', fold);
  const PLACES = 65_536 + 700;
  for (let i = 1; i <= PLACES; i += 1) {
    places.push([hashOf(`${i}`)]);
    tree.grown(i);
  }
  for (const late of [3, 256, 257, 65_536, 65_537, PLACES]) {
    const member = hashOf(`late ${late}`);
    places[late - 1]!.push(member);
    tree.toggle(late, PLACES, member);
  }
  const expectPrefixes = (count: number) => {
    for (const to of [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 65_792, count]) {
      if (to <= count) expect(tree.prefix(to), `${to}`).toEqual(fold(1, to).bytes);
    }
  };
  expectPrefixes(PLACES);
  tree.shrunk(PLACES, 65_530);
  places.length = 65_530;
  for (let i = 65_531; i <= 65_540; i += 1) {
    places.push([hashOf(`anew ${i}`)]);
    tree.grown(i);
  }
  expectPrefixes(65_540);
});
