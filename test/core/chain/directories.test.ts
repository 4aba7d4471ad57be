import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import { decodeRef } from '../../../src/core/chain/ref.ts';
import { bitOf, EMPTY_HASH, leafHash, nodeHash } from '../../../src/core/chain/state-tree.ts';
import { sha256Latin1 } from '../../../src/core/crypto/hash.ts';
import { decode } from '../../../src/core/model/cbor.ts';
import type { SignedIntent } from '../../../src/core/model/intent.ts';
import { NAMES } from '../../helpers/names.ts';
import { Blocks } from './support/blocks.ts';
import { type Member, membersOf, versionOf } from './support/fixtures.ts';

type Leaves = readonly { readonly key: string; readonly value: Uint8Array }[];
const TAG_BITS = 64;

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

function hashOf(leaves: Leaves, depth: number): string {
  if (leaves.length === 0) return EMPTY_HASH;
  if (leaves.length === 1) return leafHash(leaves[0]!.key, sha256Latin1(leaves[0]!.value));
  const half = (bit: 0 | 1) => leaves.filter(({ key }) => bitOf(key, depth) === bit);
  return nodeHash(hashOf(half(0), depth + 1), hashOf(half(1), depth + 1));
}

/** What lies in a directory by its proof, as docs/proofs.md says; throws if that does not hold. */
function provenIn(blocks: Blocks, dir: string): string[] {
  const { stateRoot, proof } = blocks.views.proveDirectory(dir);
  const { siblings, other, leaves } = proof;
  const tag = NAMES.tagOf(dir);
  if (siblings.length > TAG_BITS || leaves.some(({ key }) => !key.startsWith(tag))) {
    throw new Error('the proof is of another directory');
  }
  if (siblings.length < TAG_BITS && leaves.length > 1) throw new Error('too many leaves');
  if (other !== undefined && (leaves.length > 0 || other.key.startsWith(tag))) {
    throw new Error('something else stands there');
  }
  let hash =
    other === undefined ? hashOf(leaves, TAG_BITS) : leafHash(other.key, latin1(other.valueHash));
  for (let depth = siblings.length - 1; depth >= 0; depth -= 1) {
    const sibling = latin1(siblings[depth]!);
    hash = bitOf(tag, depth) === 0 ? nodeHash(hash, sibling) : nodeHash(sibling, hash);
  }
  if (hash !== latin1(stateRoot)) throw new Error('the proof does not lead to the root');
  return leaves.flatMap(({ key, value }) => {
    const { type, name } = decode(value, { maxBytes: 9000 }) as { type: string; name?: Uint8Array };
    if (name === undefined) return [];
    const path = NAMES.open(name);
    if (key !== (type === 'mark' ? NAMES.markKey(path) : NAMES.refKey(path)))
      throw new Error('key');
    return [type === 'mark' ? `${path}/` : path];
  });
}

/** What should lie in a directory where these paths have names. */
const childrenOf = (paths: Iterable<string>, dir: string): string[] => {
  const prefix = dir === '' ? '' : `${dir}/`;
  const found = new Set<string>();
  for (const path of paths) {
    if (!path.startsWith(prefix)) continue;
    const rest = path.slice(prefix.length);
    const [first] = rest.split('/');
    found.add(rest === first ? path : `${prefix}${first}/`);
  }
  return [...found].toSorted();
};

const part = fc.constantFrom('a', 'b', 'c');
const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const step = fc.record({
  path,
  do: fc.constantFrom('write' as const, 'write' as const, 'delete' as const, 'erase' as const),
});

function setUp() {
  const [author] = membersOf(1) as [Member];
  const blocks = new Blocks([author], 1);
  const move = (where: string, name: string, deleted: boolean) => {
    const heads = blocks.ledger.ref(where);
    return {
      path: where,
      version: versionOf(name),
      parents: heads?.heads.map(({ version }) => version) ?? [],
      generation: (heads?.generation ?? 0) + 1,
      ...(deleted ? { deleted } : {}),
    };
  };
  return { blocks, author, move };
}

describe('a directory', () => {
  it('is proved whole, with the directories in it, whatever is written and erased', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const { blocks, author, move } = setUp();
        const named = new Set<string>();
        const deleted = new Set<string>();
        for (const [at, one] of steps.entries()) {
          const where = one.path;
          if (one.do === 'erase') {
            blocks.add(blocks.changes(author, { op: 'erase', path: where }));
            if (deleted.has(where)) named.delete(where);
            continue;
          }
          blocks.add(blocks.changes(author, move(where, `${at}`, one.do === 'delete')));
          named.add(where);
          if (one.do === 'delete') deleted.add(where);
          else deleted.delete(where);
        }
        const all = [...named, ...steps.map((one) => one.path)];
        const dirs = new Set(['', ...all.flatMap((one) => NAMES.directories(one)), 'nowhere']);
        for (const dir of dirs) {
          expect(provenIn(blocks, dir).toSorted()).toEqual(childrenOf(named, dir));
        }
        expect(blocks.restart().tree.root).toEqual(blocks.ledger.tree.root);
      }),
      { numRuns: 40 },
    );
  });

  it('has the same marks, however what is written and erased is parted into blocks', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(step, fc.boolean()), { maxLength: 25 }), (steps) => {
        const [one, other] = [setUp(), setUp()];
        const { author } = one;
        let waiting: SignedIntent[] = [];
        const flush = (): void => {
          if (waiting.length > 0) other.blocks.add(...waiting);
          waiting = [];
        };
        for (const [at, [{ path: where, do: what }, isLast]] of steps.entries()) {
          const move = one.move(where, `${at}`, what === 'delete');
          const change = what === 'erase' ? ({ op: 'erase', path: where } as const) : move;
          const signed = one.blocks.changes(author, change);
          one.blocks.add(signed);
          waiting.push(signed);
          if (isLast) flush();
        }
        flush();
        expect(other.blocks.ledger.tree.root).toEqual(one.blocks.ledger.tree.root);
      }),
      { numRuns: 40 },
    );
  });

  it('is not proved whole when there is too much in it', () => {
    const { blocks, author } = setUp();
    blocks.add(blocks.intent(author, { path: 'd/1', version: 'a' }, { path: 'd/2', version: 'b' }));
    const { tree } = blocks.ledger;
    const tag = NAMES.tagOf('d');
    expect([tree.proveUnder(tag, 1), tree.proveUnder(tag, 2)?.leaves.length]).toEqual([
      undefined,
      2,
    ]);
    expect([tree.under(tag, 1), tree.under(tag, 2)?.length]).toEqual([undefined, 2]);
  });

  it('N4: keeps its own name when there is much in it', () => {
    const { blocks, author, move } = setUp();
    const count = LIMITS.erasedLeaves + 1;
    const paths = Array.from({ length: count }, (_, at) => `d/${at}`);
    blocks.add(blocks.changes(author, ...paths.map((one) => move(one, one, true))));
    const erase = (one: string) => ({ op: 'erase' as const, path: one });
    blocks.add(blocks.changes(author, ...paths.map(erase)));
    expect(provenIn(blocks, '')).toEqual(['d/']);
    expect(provenIn(blocks, 'd')).toEqual([]);
    const small = setUp();
    small.blocks.add(small.blocks.changes(small.author, small.move('d/1', 'a', true)));
    small.blocks.add(small.blocks.changes(small.author, erase('d/1')));
    expect(provenIn(small.blocks, '')).toEqual([]);
  });

  it('is marked when a path is new, and not again', () => {
    const { blocks, author, move } = setUp();
    const changesOf = (name: string, where: string): number =>
      blocks.add(blocks.changes(author, move(where, name, false))).changes.length;
    // The ref, the account and three marks; then the one directory that is new; then none.
    expect([
      changesOf('a', 'x/y/z/1'),
      changesOf('b', 'x/y/w/1'),
      changesOf('c', 'x/y/w/1'),
    ]).toEqual([5, 3, 2]);
    const { value } = blocks.views.prove('x/y/w/1');
    expect(NAMES.open(decodeRef(value!).name!)).toBe('x/y/w/1');
  });
});
