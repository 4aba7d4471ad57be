import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Mempool } from '../../../src/core/chain/mempool.ts';
import { StatementLane } from '../../../src/core/chain/statement-lane.ts';
import type { SignedIntent } from '../../../src/core/model/intent.ts';
import { CLUSTER_ID, ledgerOf, membersOf, versionOf } from './support/fixtures.ts';

const CHANGE = { path: 'x', version: versionOf('v'), parents: [], generation: 1 };

/** An intent as the mempool sees it, of any size. */
function intent(author: string, sequence: number, options: { size?: number; tag?: string } = {}) {
  const { size = 100, tag = 'a' } = options;
  const digest = `${author}/${sequence}/${tag}`;
  const changes = tag === 'cancel' ? [] : [CHANGE];
  return {
    id: digest,
    digest,
    bytes: new Uint8Array(size),
    intent: { author, sequence, time: 0, changes, keyEpoch: 0 },
  } satisfies SignedIntent;
}

const statements = new StatementLane(CLUSTER_ID, ledgerOf(membersOf(1)));

const poolOf = (
  options: Partial<ConstructorParameters<typeof Mempool>[0]> & {
    readonly members?: () => number;
    readonly baseOf?: (author: string) => number;
    readonly keyEpochOf?: (author: string) => number;
  } = {},
): Mempool => {
  const { members = () => 4, baseOf = () => 0, keyEpochOf = () => 0, ...rest } = options;
  const deps = { memberCount: members, baseOf, keyEpochOf, statements };
  return new Mempool({ self: 'me', ...rest }, deps);
};

const taken = (pool: Mempool, maxBytes = 1e9, maxCount = 1e9): string[] =>
  pool.take(maxBytes, maxCount).map(({ intent: { author, sequence } }) => `${author}${sequence}`);

describe('a block is filled', () => {
  it('with the next of each author, without gaps, in turns', () => {
    const pool = poolOf();
    for (const sequence of [2, 1, 4]) pool.add(intent('a', sequence), 0);
    for (const sequence of [1, 2, 3]) pool.add(intent('b', sequence), 0);
    pool.add(intent('c', 2), 0);
    expect(taken(pool)).toEqual(['a1', 'b1', 'a2', 'b2', 'b3']);
    expect(taken(pool)[0]).toBe('b1');
  });

  it('up to its bytes and its count', () => {
    const pool = poolOf();
    for (const sequence of [1, 2, 3]) pool.add(intent('a', sequence), 0);
    expect(taken(pool, 250)).toEqual(['a1', 'a2']);
    expect(taken(pool, 1000, 1)).toEqual(['a1']);
  });

  it('has work only when the next of some author is there', () => {
    const pool = poolOf();
    pool.add(intent('a', 2), 0);
    expect(pool.hasWork).toBe(false);
    pool.add(intent('a', 1), 0);
    expect(pool.hasWork).toBe(true);
    pool.settle('a', 1);
    expect(pool.hasWork).toBe(true);
    pool.settle('a', 2);
    expect([pool.hasWork, pool.count, pool.bytes]).toEqual([false, 0, 0]);
  });
});

describe('an intent', () => {
  it('is known, stale, beyond the window, or has its sequence taken', () => {
    const pool = poolOf({ baseOf: () => 5 });
    expect(pool.add(intent('a', 6), 0)).toBe('added');
    expect(pool.add(intent('a', 6), 0)).toBe('known');
    expect(pool.add(intent('a', 5), 0)).toBe('stale');
    expect(pool.add(intent('a', 6, { tag: 'b' }), 0)).toBe('taken');
    expect(pool.add(intent('a', 5 + 8192), 0)).toBe('added');
    expect(pool.add(intent('a', 5 + 8193), 0)).toBe('ahead');
    expect(pool.nextSequence('a')).toBe(7);
    expect(pool.nextSequence('b')).toBe(6);
  });

  it('without changes takes the place of another, and loses it to none', () => {
    const pool = poolOf();
    pool.add(intent('a', 1), 0);
    expect(pool.add(intent('a', 1, { tag: 'cancel' }), 0)).toBe('added');
    expect(pool.get('a/1/a')).toBeUndefined();
    expect(pool.add(intent('a', 1), 0)).toBe('taken');
    expect(pool.count).toBe(1);
  });
});

describe('limits', () => {
  it('an author has so many intents and bytes waiting, the first of them', () => {
    const pool = poolOf({ authorIntents: 3, authorBytes: 1000 });
    for (const sequence of [5, 2, 3]) pool.add(intent('a', sequence), 0);
    expect(pool.add(intent('a', 6), 0)).toBe('full');
    expect(pool.add(intent('a', 1), 0)).toBe('added');
    expect(taken(pool)).toEqual(['a1', 'a2', 'a3']);
    expect(pool.add(intent('b', 1, { size: 1001 }), 0)).toBe('full');
  });

  it('a flood of one cannot push out what others have within their share', () => {
    const pool = poolOf({ totalBytes: 4000, authorBytes: 4000 });
    expect(pool.add(intent('b', 1, { size: 900 }), 0)).toBe('added');
    for (let sequence = 1; sequence <= 40; sequence += 1) pool.add(intent('a', sequence), 0);
    expect(pool.get('b/1/a')).toBeDefined();
    expect(pool.bytes).toBeLessThanOrEqual(4000);
    // Who has less than its share finds room, at the cost of who has more.
    expect(pool.add(intent('c', 1, { size: 1000 }), 0)).toBe('added');
    expect(pool.add(intent('d', 1, { size: 1000 }), 0)).toBe('added');
    expect(pool.get('b/1/a')).toBeDefined();
    expect(pool.get('a/1/a')).toBeDefined();
  });

  it('what this node asks for is not put out', () => {
    const pool = poolOf({ totalBytes: 1000, authorBytes: 1000 });
    for (let sequence = 1; sequence <= 10; sequence += 1) pool.add(intent('me', sequence), 0);
    expect(pool.add(intent('b', 1), 0)).toBe('full');
    expect(pool.nextSequence('me')).toBe(11);
  });
});

const action = fc.oneof(
  fc.record({
    kind: fc.constant('add' as const),
    author: fc.constantFrom('me', 'a', 'b', 'c'),
    sequence: fc.integer({ min: 1, max: 12 }),
    size: fc.integer({ min: 1, max: 300 }),
    tag: fc.constantFrom('a', 'b', 'cancel'),
  }),
  fc.record({
    kind: fc.constant('settle' as const),
    author: fc.constantFrom('me', 'a', 'b', 'c'),
    sequence: fc.integer({ min: 1, max: 12 }),
  }),
);

it('stays within its limits and counts right, whatever comes', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
      const bases = new Map<string, number>();
      const limits = { authorIntents: 5, authorBytes: 700, totalBytes: 1500 };
      const pool = poolOf({ ...limits, baseOf: (author) => bases.get(author) ?? 0 });
      for (const step of actions) {
        const { author, sequence } = step;
        if (step.kind === 'add') pool.add(intent(author, sequence, step), 0);
        else if (sequence > (bases.get(author) ?? 0)) {
          bases.set(author, sequence);
          pool.settle(author, sequence);
        }
        const all = ['me', 'a', 'b', 'c'].flatMap((who) =>
          Array.from({ length: 12 }, (_, at) => pool.at(who, at + 1)?.signed ?? []).flat(),
        );
        const bytes = all.reduce((sum, signed) => sum + signed.bytes.length, 0);
        expect([pool.count, pool.bytes]).toEqual([all.length, bytes]);
        expect(bytes).toBeLessThanOrEqual(1500);
        const block = pool.take(1e9, 1e9);
        expect(pool.hasWork).toBe(block.length > 0);
        for (const who of ['me', 'a', 'b', 'c']) {
          const base = bases.get(who) ?? 0;
          const own = block.filter(({ intent: { author: by } }) => by === who);
          const sequences = own.map((signed) => signed.intent.sequence);
          expect(sequences).toEqual(sequences.map((_, at) => base + at + 1));
          expect(pool.nextSequence(who)).toBe(base + own.length + 1);
        }
      }
    }),
  );
});

describe('when members or their keys change', () => {
  it('each has a share of what there is for so many', () => {
    let members = 2;
    const pool = poolOf({ totalBytes: 1000, members: () => members });
    for (const sequence of [1, 2, 3, 4, 5]) pool.add(intent('a', sequence), 0);
    for (const sequence of [1, 2, 3, 4, 5]) pool.add(intent('b', sequence), 0);
    // Both have their share of 500 bytes: there is no room, and nobody is put out.
    expect(pool.add(intent('c', 1, { size: 250 }), 0)).toBe('full');
    members = 10;
    expect(pool.add(intent('d', 1, { size: 101 }), 0)).toBe('full');
    expect(pool.add(intent('d', 1, { size: 100 }), 0)).toBe('added');
  });

  it('what is of another key epoch does not come in, and goes', () => {
    let keyEpoch = 0;
    const pool = poolOf({ keyEpochOf: () => keyEpoch });
    for (const sequence of [1, 2, 4]) pool.add(intent('a', sequence), 0);
    pool.add(intent('b', 1), 0);
    keyEpoch = 1;
    pool.retire('a');
    expect([pool.count, pool.bytes, taken(pool)]).toEqual([1, 100, ['b1']]);
    expect(pool.add(intent('a', 1), 0)).toBe('retired');
    const anew = intent('a', 1, { tag: 'anew' });
    expect(pool.add({ ...anew, intent: { ...anew.intent, keyEpoch } }, 0)).toBe('added');
    expect(taken(pool)).toContain('a1');
  });

  it('nothing waits of whoever has left', () => {
    const pool = poolOf();
    for (const sequence of [1, 2, 4]) pool.add(intent('a', sequence), 0);
    pool.forget('a');
    expect([pool.count, pool.bytes, pool.hasWork]).toEqual([0, 0, false]);
  });
});
