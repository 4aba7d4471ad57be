import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Isolation } from '../../../src/core/tor/isolation.ts';

const secret = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

describe('isolation (O11)', () => {
  test('keeps every pair of purpose and peer on a name of its own', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(fc.string(), fc.string()), {
          selector: (pair) => pair.join('\0\0'),
        }),
        (pairs) => {
          const isolation = new Isolation(secret(1));
          const names = pairs.map(([purpose, peer]) => isolation.of(purpose, peer).username);
          expect(new Set(names).size).toBe(pairs.length);
          for (const [at, [purpose, peer]] of pairs.entries()) {
            expect(isolation.of(purpose, peer).username).toBe(names[at]);
            expect(isolation.whoIs(names[at]!)).toEqual({ purpose, peer });
          }
        },
      ),
    );
  });

  test('tells nobody who reads the names whom they mean: each process has others', () => {
    const one = new Isolation(secret(1)).of('talk', 'peer');
    const other = new Isolation(secret(2)).of('talk', 'peer');
    expect(one.username).toMatch(/^[0-9a-f]{32}$/);
    expect(one.username).not.toBe(other.username);
    expect(`${one.username}${one.password}`).not.toContain('peer');
  });

  test('gives new circuits to one peer, in all its purposes, or to all', () => {
    const isolation = new Isolation(secret(1));
    const now = (): string[] =>
      ['a', 'b'].flatMap((peer) =>
        ['talk', 'bulk-1'].map((purpose) => isolation.of(purpose, peer).password),
      );
    const before = now();
    isolation.renew('a');
    const after = now();
    expect(after.map((password, at) => password === before[at])).toEqual([
      false,
      false,
      true,
      true,
    ]);
    isolation.renew();
    const last = now();
    for (const password of last) expect([...before, ...after]).not.toContain(password);
  });

  test('never comes back to a password that a peer has had', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'b', undefined), { minLength: 1, maxLength: 40 }),
        (renewals) => {
          const isolation = new Isolation(secret(1));
          const had = new Map<string, Set<string>>([
            ['a', new Set([isolation.of('talk', 'a').password])],
            ['b', new Set([isolation.of('talk', 'b').password])],
          ]);
          for (const peer of renewals) {
            isolation.renew(peer);
            for (const one of peer === undefined ? ['a', 'b'] : [peer]) {
              const { password } = isolation.of('talk', one);
              expect(had.get(one)).not.toContain(password);
              had.get(one)!.add(password);
            }
          }
        },
      ),
    );
  });

  test('remembers so many names and peers, and forgets the oldest', () => {
    const isolation = new Isolation(secret(1));
    const first = isolation.of('talk', 'p0').username;
    for (let i = 1; i <= 4096; i += 1) isolation.of('talk', `p${i}`);
    expect(isolation.whoIs(first)).toBeUndefined();
    const { username } = isolation.of('talk', 'p1');
    expect(isolation.whoIs(username)).toEqual({ purpose: 'talk', peer: 'p1' });
    // Peers beyond those that are remembered renew all: too many circuits, never too few.
    for (let i = 0; i < 4096; i += 1) isolation.renew(`p${i}`);
    const before = isolation.of('talk', 'p1').password;
    isolation.renew('another');
    expect(isolation.of('talk', 'p1').password).not.toBe(before);
  });
});
