import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { earlyRefusal, NO_BACKLOG } from '../../../src/core/chain/early-refusal.ts';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import { FIRST_PARAMETERS } from '../../../src/core/chain/registers.ts';
import { HOUR } from '../../../src/core/units.ts';
import { Blocks } from './support/blocks.ts';
import { type Member, membersOf, versionOf } from './support/fixtures.ts';

interface Limits {
  readonly changesPerHour: number | null;
  readonly bytesPerHour: number | null;
  readonly paths: number | null;
}

function setUp(limits?: Partial<Limits>) {
  const members = membersOf(2);
  const blocks = new Blocks(members, 1);
  const [custodian, agent] = members as [Member, Member];
  const { nodeId } = agent;
  const none = { changesPerHour: null, bytesPerHour: null, paths: null };
  if (limits !== undefined) {
    blocks.decide([custodian], [{ op: 'quota', nodeId, ...none, ...limits }]);
  }
  const moves = (count: number, from = 0) =>
    Array.from({ length: count }, (_, at) => ({ path: `p${from + at}`, version: `v${at}` }));
  const early = (...list: Parameters<Blocks['intent']>[1][]) =>
    earlyRefusal(blocks.ledger, blocks.intent(agent, ...list), NO_BACKLOG, blocks.time)?.code;
  return { blocks, custodian, agent, nodeId, moves, early };
}

describe('Q1: an agent', () => {
  it('makes so many changes an hour of the blocks', () => {
    const { blocks, agent, nodeId, moves, early } = setUp({ changesPerHour: 3 });
    blocks.time = 5 * HOUR;
    expect(blocks.outcomes(blocks.intent(agent, ...moves(2)))).toEqual(['done']);
    expect(early(...moves(2, 2))).toBe('OVER_QUOTA');
    const over = blocks.intent(agent, ...moves(2, 2));
    expect(blocks.outcomes(over)).toEqual(['over-quota']);
    // Nothing of it has happened but for the sequence.
    expect(blocks.views.ref('p2')).toBeUndefined();
    expect(blocks.views.usage(nodeId)).toMatchObject({ hour: 5, changes: 2, paths: 2 });
    expect(early({ path: 'p9', version: 'v' })).toBeUndefined();
    expect(blocks.outcomes(blocks.intent(agent, { path: 'p9', version: 'v' }))).toEqual(['done']);
    blocks.time = 6 * HOUR - 1;
    expect(blocks.outcomes(blocks.intent(agent, { path: 'p8', version: 'v' }))).toEqual([
      'over-quota',
    ]);
    blocks.time = 6 * HOUR;
    expect(blocks.outcomes(blocks.intent(agent, ...moves(3, 5)))).toEqual(['done']);
  });

  it('hands in so many bytes an hour, and makes so many paths', () => {
    const { blocks, agent, early } = setUp({ paths: 1 });
    const first = { path: 'p', version: 'a' };
    expect(blocks.outcomes(blocks.intent(agent, first))).toEqual(['done']);
    expect(early({ path: 'q', version: 'a' })).toBe('OVER_QUOTA');
    const follows = { path: 'p', version: 'b', parents: ['a'], generation: 2 };
    expect(early(follows)).toBeUndefined();
    expect(blocks.outcomes(blocks.intent(agent, { path: 'q', version: 'a' }))).toEqual([
      'over-quota',
    ]);
    expect(blocks.outcomes(blocks.intent(agent, follows))).toEqual(['done']);
    const bytes = setUp({ bytesPerHour: 0 });
    expect(bytes.early({ version: 'a' })).toBe('OVER_QUOTA');
    expect(bytes.blocks.outcomes(bytes.blocks.intent(bytes.agent))).toEqual(['over-quota']);
  });

  it('has what the parameters say, unless a quota of its own is decided', () => {
    const { blocks, custodian, agent, nodeId } = setUp();
    expect(blocks.views.usage(nodeId).limits).toEqual({
      changesPerHour: FIRST_PARAMETERS.agentChangesPerHour,
      bytesPerHour: FIRST_PARAMETERS.agentBytesPerHour,
      paths: FIRST_PARAMETERS.agentPaths,
    });
    blocks.decide([custodian], [{ op: 'parameter', name: 'agentChangesPerHour', value: 0 }]);
    expect(blocks.outcomes(blocks.intent(agent, { version: 'a' }))).toEqual(['over-quota']);
    const quota = { changesPerHour: 1, bytesPerHour: null, paths: null };
    blocks.decide([custodian], [{ op: 'quota', nodeId, ...quota }]);
    expect(blocks.outcomes(blocks.intent(agent, { version: 'a' }))).toEqual(['done']);
    expect(blocks.restart().registers.quotas).toEqual(new Map([[nodeId, { nodeId, ...quota }]]));
  });

  it('custodians have none, and nothing is counted of them', () => {
    const { blocks, custodian, moves } = setUp();
    blocks.decide([custodian], [{ op: 'parameter', name: 'agentPaths', value: 0 }]);
    expect(blocks.outcomes(blocks.intent(custodian, ...moves(9)))).toEqual(['done']);
    expect(blocks.views.usage(custodian.nodeId)).toMatchObject({
      changes: 0,
      bytes: 0,
      paths: 0,
      limits: undefined,
    });
  });
});

describe('Q3: what would be refused is refused at once', () => {
  it('without the right, unless a grant that waits may give it', () => {
    const { blocks, custodian, agent, early } = setUp();
    const { nodeId } = custodian;
    blocks.decide([custodian], [{ op: 'namespace', path: 'x', owners: [nodeId], writers: [] }]);
    expect(early({ path: 'x/1', version: 'a' })).toBe('NOT_ALLOWED');
    expect(early({ path: 'y', version: 'a' })).toBeUndefined();
    const signed = blocks.intent(agent, { path: 'x/1', version: 'a' });
    const backlog = { ...NO_BACKLOG, grants: 1 };
    expect(earlyRefusal(blocks.ledger, signed, backlog, 0)).toBeUndefined();
    const grant = blocks.changes(agent, { op: 'grant', path: 'x', nodeId, right: 'owner' });
    expect(earlyRefusal(blocks.ledger, grant, NO_BACKLOG, 0)?.code).toBe('NOT_ALLOWED');
  });

  it('over quota with what waits already', () => {
    const { blocks, agent } = setUp({ changesPerHour: 3 });
    const signed = blocks.intent(agent, { version: 'a' });
    const code = (changes: number) =>
      earlyRefusal(blocks.ledger, signed, { ...NO_BACKLOG, changes }, blocks.time)?.code;
    expect([code(2), code(3)]).toEqual([undefined, 'OVER_QUOTA']);
  });
});

describe('whatever an agent does', () => {
  it('it never has more than its quotas, and has all of them', () => {
    const step = fc.record({
      changes: fc.integer({ min: 0, max: 4 }),
      path: fc.nat(6),
      later: fc.nat(HOUR),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const { blocks, agent, nodeId } = setUp({ changesPerHour: 5, paths: 6 });
        let [hour, used] = [0, 0];
        const made = new Set<string>();
        for (const [at, { changes, path, later }] of steps.entries()) {
          blocks.time += later;
          const now = Math.floor(blocks.time / HOUR);
          if (now !== hour) [hour, used] = [now, 0];
          const paths = Array.from({ length: changes }, (_, n) => `p${path + n}`);
          const fresh = paths.filter((one) => !made.has(one));
          const isOver = used + changes > 5 || (fresh.length > 0 && made.size + fresh.length > 6);
          const moves = paths.map((one) => ({ path: one, version: `${at}` }));
          const [outcome] = blocks.outcomes(blocks.intent(agent, ...moves));
          expect(outcome).toBe(isOver ? 'over-quota' : changes === 0 ? 'unchanged' : 'done');
          if (isOver) continue;
          used += changes;
          for (const one of fresh) made.add(one);
        }
        expect(blocks.views.usage(nodeId).paths).toBe(made.size);
        expect(blocks.restart().account(nodeId)).toEqual(blocks.ledger.account(nodeId));
      }),
      { numRuns: 40 },
    );
  });
});

describe('R4: anchors', () => {
  const digestOf = (name: string): Uint8Array => versionOf(name).multihash.digest;
  const anchor = (label: string, name: string, previous?: string) => ({
    op: 'anchor' as const,
    label,
    digest: digestOf(name),
    ...(previous === undefined ? {} : { previous: digestOf(previous) }),
  });

  it('name the one before, label by label and author by author', () => {
    const { blocks, custodian, agent, nodeId } = setUp();
    const run = (by: Member, ...args: Parameters<typeof anchor>) =>
      blocks.outcomes(blocks.changes(by, anchor(...args)))[0];
    expect([
      run(agent, 'l', 'a', 'z'),
      run(agent, 'l', 'a'),
      run(agent, 'l', 'a'),
      run(agent, 'l', 'b'),
      run(agent, 'l', 'b', 'a'),
      run(agent, 'l', 'c', 'a'),
      run(agent, 'm', 'c'),
      run(custodian, 'l', 'c'),
    ]).toEqual([
      'bad-anchor',
      'done',
      'unchanged',
      'bad-anchor',
      'done',
      'bad-anchor',
      'done',
      'done',
    ]);
    const found = blocks.views.anchors(nodeId).toSorted((a, b) => (a.label < b.label ? -1 : 1));
    expect(found).toEqual([
      { label: 'l', digest: digestOf('b'), previous: digestOf('a'), height: 5 },
      { label: 'm', digest: digestOf('c'), height: 7 },
    ]);
    expect(blocks.views.usage(nodeId).paths).toBe(2);
    const { anchors } = blocks.add(blocks.changes(agent, anchor('n', 'a')));
    expect(anchors).toEqual([{ nodeId, label: 'n' }]);
  });

  it('have so many labels of one node', () => {
    const { blocks, custodian, nodeId } = setUp();
    const labels = Array.from({ length: LIMITS.anchorLabels }, (_, at) => `l${at}`);
    for (let at = 0; at < labels.length; at += 256) {
      const some = labels.slice(at, at + 256).map((label) => anchor(label, 'a'));
      expect(blocks.outcomes(blocks.changes(custodian, ...some))).toEqual(['done']);
    }
    expect(blocks.views.anchors(custodian.nodeId)).toHaveLength(labels.length);
    expect(blocks.outcomes(blocks.changes(custodian, anchor('more', 'a')))).toEqual(['over-quota']);
    expect(blocks.outcomes(blocks.changes(custodian, anchor('l1', 'b', 'a')))).toEqual(['done']);
    expect(blocks.views.anchor(custodian.nodeId, 'l1')?.digest).toEqual(digestOf('b'));
    expect(blocks.views.anchor(nodeId, 'l1')).toBeUndefined();
  });

  it('V4: are of version 2, as erasure is', () => {
    const members = membersOf(1);
    const [custodian] = members as [Member];
    const blocks = new Blocks(members, 1, 1);
    blocks.add(blocks.intent(custodian, { path: 'p', version: 'a', deleted: true }));
    const signed = blocks.changes(custodian, anchor('l', 'a'));
    expect(earlyRefusal(blocks.ledger, signed, NO_BACKLOG, 0)?.code).toBe('CHECK_FAILED');
    expect(blocks.outcomes(signed)).toEqual(['not-yet']);
    expect(blocks.outcomes(blocks.changes(custodian, { op: 'erase', path: 'p' }))).toEqual([
      'not-yet',
    ]);
  });
});
