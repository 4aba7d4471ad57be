import { describe, expect, it } from 'vitest';
import { AuthorLog, memberOf, SetDigest } from '../../../src/core/kb/author-log.ts';
import type { SignedVersion } from '../../../src/core/model/version.ts';
import { authors, contentOf } from './authors.ts';

const ana = authors[0]!;
/** Unsigned: the log looks at CID, author and sequence alone. */
function entry(sequence: number, name = ''): SignedVersion {
  const cid = contentOf(`${sequence} ${name}`);
  const version = { author: ana.nodeId, sequence } as SignedVersion['version'];
  return { cid, cidText: cid.toString(), bytes: new Uint8Array(), version };
}

const naive = (log: AuthorLog, from: number, to: number): Uint8Array => {
  const digest = new SetDigest();
  for (const version of log.between(from, to)) digest.toggle(memberOf(version));
  return digest.bytes;
};

describe('AuthorLog', () => {
  it('digests any range as a fold of its members, also after a late equivocation', () => {
    const log = new AuthorLog();
    for (let i = 1; i <= 1000; i += 1) log.add(entry(i));
    const ranges = [
      [1, 1000],
      [1, 255],
      [1, 256],
      [257, 513],
      [300, 300],
      [999, 5000],
      [2000, 3000],
    ] as const;
    for (const [from, to] of ranges) expect(log.digest(from, to)).toEqual(naive(log, from, to));
    expect(log.add(entry(257, 'again'))).toHaveLength(2);
    for (const [from, to] of ranges) expect(log.digest(from, to)).toEqual(naive(log, from, to));
  });

  it('accepts only what follows on', () => {
    const log = new AuthorLog();
    expect(log.accepts(1)).toBe(true);
    expect(log.accepts(2)).toBe(false);
    log.add(entry(1));
    expect([1, 2, 3].map((i) => log.accepts(i))).toEqual([true, true, false]);
    expect(() => log.add(entry(3))).toThrow('after the one before');
  });
});
