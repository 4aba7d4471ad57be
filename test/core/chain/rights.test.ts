import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import { NAMESPACE_WRITERS_MAX } from '../../../src/core/model/proposed-change.ts';
import { Owner } from '../../helpers/owner.ts';
import { Blocks } from './support/blocks.ts';
import { type Member, type Move, membersOf, versionOf } from './support/fixtures.ts';

type Right = 'owner' | 'writer';

function setUp() {
  const members = membersOf(4);
  const blocks = new Blocks(members, 1);
  const [custodian, a, b, c] = members as [Member, Member, Member, Member];
  const own = (path: string, owners: readonly Member[], writers: readonly Member[] = []) =>
    blocks.decide(
      [custodian],
      [
        {
          op: 'namespace',
          path,
          owners: owners.map(({ nodeId }) => nodeId).toSorted(),
          writers: writers.map(({ nodeId }) => nodeId).toSorted(),
        },
      ],
    );
  const grant = (by: Member, path: string, who: Member, right: Right) =>
    blocks.outcomes(blocks.changes(by, { op: 'grant', path, nodeId: who.nodeId, right }))[0];
  const revoke = (by: Member, path: string, who: Member) =>
    blocks.outcomes(blocks.changes(by, { op: 'revoke', path, nodeId: who.nodeId }))[0];
  let version = 0;
  const write = (by: Member, path: string, more: Partial<Move> = {}) => {
    version += 1;
    return blocks.outcomes(blocks.intent(by, { path, version: `${version}`, ...more }))[0];
  };
  return { blocks, members, custodian, a, b, c, own, grant, revoke, write };
}

describe('N1: a namespace', () => {
  it('says who may write in it, and the deepest one counts', () => {
    const { own, write, a, b, c, custodian } = setUp();
    expect(write(c, 'x/y/z')).toBe('done');
    own('x', [a], [b]);
    own('x/y', [b]);
    for (const [who, path, outcome] of [
      [a, 'x', 'done'],
      [b, 'x/q', 'done'],
      [c, 'x/q', 'not-allowed'],
      [custodian, 'x/q', 'not-allowed'],
      [a, 'x/y', 'not-allowed'],
      [a, 'x/y/z', 'not-allowed'],
      [b, 'x/y/z', 'done'],
      [c, 'xx', 'done'],
    ] as const) {
      expect([path, write(who, path)]).toEqual([path, outcome]);
    }
  });

  it('where there is none every member may write, unless the parameter says nobody may', () => {
    const { blocks, own, write, a, c, custodian } = setUp();
    own('x', [a]);
    expect(write(c, 'y')).toBe('done');
    blocks.decide([custodian], [{ op: 'parameter', name: 'openWrites', value: 0 }]);
    expect([write(c, 'y'), write(custodian, 'y'), write(a, 'x/y')]).toEqual([
      'not-allowed',
      'not-allowed',
      'done',
    ]);
  });
});

describe('N2: rights', () => {
  it('are granted and revoked by owners, and by those around', () => {
    const { blocks, own, grant, revoke, write, a, b, c } = setUp();
    own('x', [a]);
    expect([grant(b, 'x', b, 'writer'), grant(a, 'x', b, 'writer'), write(b, 'x/1')]).toEqual([
      'not-allowed',
      'done',
      'done',
    ]);
    expect([grant(b, 'x', c, 'writer'), grant(a, 'x', b, 'writer')]).toEqual([
      'not-allowed',
      'unchanged',
    ]);
    expect([grant(b, 'x/y', b, 'owner'), grant(a, 'x/y', b, 'owner')]).toEqual([
      'not-allowed',
      'done',
    ]);
    expect([write(a, 'x/y/1'), write(b, 'x/y/1')]).toEqual(['not-allowed', 'done']);
    expect([grant(b, 'x/y', c, 'writer'), revoke(a, 'x/y', c), revoke(a, 'x/y', c)]).toEqual([
      'done',
      'done',
      'unchanged',
    ]);
    // The last owner: only by an owner of a namespace around it; then nobody is left in it.
    expect([revoke(b, 'x/y', b), revoke(a, 'x', a), revoke(a, 'x/y', b)]).toEqual([
      'not-allowed',
      'not-allowed',
      'done',
    ]);
    expect(blocks.views.namespaces().map(({ path }) => path)).toEqual(['x']);
    expect(write(a, 'x/y/1')).toBe('done');
    expect(grant(a, 'x', new Owner(77), 'writer')).toBe('not-a-member');
    expect(grant(a, 'z', a, 'owner')).toBe('not-allowed');
  });

  it('a namespace begins with an owner: with its author, when it grants a writer', () => {
    const { blocks, own, grant, a, b } = setUp();
    own('x', [a]);
    expect(grant(a, 'x/w', b, 'writer')).toBe('done');
    expect(blocks.views.namespaceOf('x/w/1')).toEqual({
      path: 'x/w',
      owners: [a.nodeId],
      writers: [b.nodeId],
    });
    expect(grant(a, 'x/v', a, 'writer')).toBe('done');
    expect(blocks.views.namespaceOf('x/v')).toMatchObject({ owners: [a.nodeId], writers: [] });
    // A node has one right, and the later grant counts; but for the last owner.
    expect([grant(a, 'x/w', b, 'owner'), grant(b, 'x/w', a, 'writer')]).toEqual(['done', 'done']);
    expect(grant(b, 'x/w', b, 'writer')).toBe('not-allowed');
    expect(blocks.views.namespaceOf('x/w')).toMatchObject({
      owners: [b.nodeId],
      writers: [a.nodeId],
    });
  });

  it('are all made or none, intent by intent (N3)', () => {
    const { blocks, own, write, a, b, c } = setUp();
    own('x', [a]);
    const outcomes = blocks.outcomes(
      blocks.changes(
        a,
        { op: 'grant', path: 'x', nodeId: b.nodeId, right: 'writer' },
        { op: 'revoke', path: 'x', nodeId: a.nodeId },
      ),
    );
    expect(outcomes).toEqual(['not-allowed']);
    expect(write(b, 'x/1')).toBe('not-allowed');
    // What one intent grants, the next one of the same block has.
    expect(
      blocks.outcomes(
        blocks.intent(c, { path: 'x/2', version: 'early' }),
        blocks.changes(a, { op: 'grant', path: 'x', nodeId: b.nodeId, right: 'writer' }),
        blocks.intent(b, { path: 'x/2', version: 'late' }),
      ),
    ).toEqual(['not-allowed', 'done', 'done']);
    expect(blocks.ledger.sequenceOf(c.nodeId)).toBe(1);
  });

  it('are of so many writers, and there are so many namespaces', () => {
    const { blocks, own, grant, a, b } = setUp();
    own('x', [a]);
    const full = Array.from({ length: NAMESPACE_WRITERS_MAX }, (_, at) => `n${at}`);
    blocks.ledger.registers.namespaces.set('x', { path: 'x', owners: [a.nodeId], writers: full });
    expect(grant(a, 'x', b, 'writer')).toBe('over-quota');
    expect(grant(a, 'x', b, 'owner')).toBe('done');
    const { namespaces } = blocks.ledger.registers;
    for (let at = namespaces.size; at < LIMITS.namespaces; at += 1) {
      namespaces.set(`f/${at}`, { path: `f/${at}`, owners: [a.nodeId], writers: [] });
    }
    expect(grant(a, 'x/1', b, 'writer')).toBe('over-quota');
  });
});

describe('N4: erasure', () => {
  const gone = { deleted: true } as const;

  it('takes the name of a path that is deleted, and nothing else', () => {
    const { blocks, write, a } = setUp();
    const erase = (path: string) => blocks.outcomes(blocks.changes(a, { op: 'erase', path }))[0];
    expect([write(a, 'd/e/f'), erase('d/e/f'), erase('nothing')]).toEqual([
      'done',
      'bad-erasure',
      'bad-erasure',
    ]);
    const heads = blocks.ledger.ref('d/e/f')!.heads.map(({ version }) => version);
    const move = { op: undefined, path: 'd/e/f', version: heads[0]!, parents: heads } as const;
    blocks.add(blocks.changes(a, { ...move, ...laterOf(2), deleted: true }));
    const before = blocks.ledger.ref('d/e/f')!;
    expect(erase('d/e/f')).toBe('done');
    const { name, ...rest } = blocks.ledger.ref('d/e/f')!;
    expect([name, rest]).toEqual([undefined, { heads: before.heads, generation: 2 }]);
    expect(erase('d/e/f')).toBe('unchanged');
    expect(write(a, 'd/e/f', { generation: 3 })).toBe('done');
    expect(blocks.ledger.ref('d/e/f')?.name).toEqual(before.name);
  });

  it('is for owners, or where there is no namespace for members', () => {
    const { blocks, own, write, a, b, c } = setUp();
    const erase = (by: Member) =>
      blocks.outcomes(blocks.changes(by, { op: 'erase', path: 'x/1' }))[0];
    own('x', [a], [b]);
    expect([write(b, 'x/1', gone), erase(b), erase(c), erase(a)]).toEqual([
      'done',
      'not-allowed',
      'not-allowed',
      'done',
    ]);
  });
});

/** A version that follows. */
const laterOf = (generation: number) => ({ generation, version: versionOf(`later ${generation}`) });

const PATHS = ['x', 'x/y', 'x/y/z', 'x/w', 'q', 'q/r'];
const operation = fc.record({
  op: fc.constantFrom('write' as const, 'grant' as const, 'grant' as const, 'revoke' as const),
  by: fc.nat(3),
  who: fc.nat(3),
  path: fc.constantFrom(...PATHS),
  right: fc.constantFrom<Right>('owner', 'writer'),
});

describe('whatever is granted and revoked', () => {
  it('execution says what a model of the rules says', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
        const { blocks, members, own, grant, revoke, write } = setUp();
        own('x', [members[1]!]);
        /** The model: by path, the right of each member. */
        const model = new Map([['x', new Map<number, Right>([[1, 'owner']])]]);
        const around = (path: string): string[] =>
          [...model.keys()]
            .filter((one) => path === one || path.startsWith(`${one}/`))
            .toSorted((a, b) => b.length - a.length);
        const owns = (by: number, paths: readonly string[]): boolean =>
          paths.some((path) => model.get(path)!.get(by) === 'owner');
        for (const { op, by, who, path, right } of operations) {
          const member = members[by]!;
          if (op === 'write') {
            const [deepest] = around(path);
            const isAllowed = deepest === undefined || model.get(deepest)!.has(by);
            expect(write(member, path)).toBe(isAllowed ? 'done' : 'not-allowed');
            expect(blocks.views.mayWrite(member.nodeId, path)).toBe(isAllowed);
            continue;
          }
          const before = model.get(path);
          const after = new Map(before);
          if (op === 'grant') {
            if (before === undefined) after.set(by, 'owner');
            if (before === undefined && right === 'owner') after.clear();
            if (before !== undefined || who !== by || right === 'owner') after.set(who, right);
          } else after.delete(who);
          const owners = [...after.values()].filter((one) => one === 'owner').length;
          const wasOwned = [...(before?.values() ?? [])].includes('owner');
          const outer = around(path).filter((one) => one !== path);
          const isLast = wasOwned && owners === 0 && !owns(by, outer);
          const isAllowed = owns(by, around(path)) && !isLast;
          const actual =
            op === 'grant'
              ? grant(member, path, members[who]!, right)
              : revoke(member, path, members[who]!);
          expect(actual === 'not-allowed').toBe(!isAllowed);
          if (!isAllowed || (op === 'revoke' && before === undefined)) continue;
          if (after.size === 0) model.delete(path);
          else model.set(path, after);
        }
        const found = blocks.restart();
        expect(found.registers.namespaces).toEqual(blocks.ledger.registers.namespaces);
        expect([...found.registers.namespaces.keys()].toSorted()).toEqual(
          [...model.keys()].toSorted(),
        );
        for (const [path, rights] of model) {
          const of = (right: Right) =>
            [...rights].flatMap(([who, one]) => (one === right ? [members[who]!.nodeId] : []));
          expect(found.registers.namespaces.get(path)).toEqual({
            path,
            owners: of('owner').toSorted(),
            writers: of('writer').toSorted(),
          });
        }
      }),
      { numRuns: 40 },
    );
  });
});
