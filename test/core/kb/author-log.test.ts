import { describe, expect, it } from 'vitest';
import { AuthorLog, memberOf } from '../../../src/core/kb/author-log.ts';
import { SetDigest } from '../../../src/core/kb/set-digest.ts';
import { KbStore } from '../../../src/core/kb/store.ts';
import { type SignedVersion, versionCidOf } from '../../../src/core/model/version.ts';
import { authors } from './authors.ts';

const ana = authors[0]!;
/** Unsigned: the log looks at CID, author and sequence alone. */
function entry(sequence: number, name = ''): SignedVersion {
  const cid = versionCidOf(Buffer.from(`${sequence} ${name}`));
  const version = { author: ana.nodeId, sequence } as SignedVersion['version'];
  return { cid, cidText: cid.toString(), bytes: new Uint8Array(1), version };
}

/** A log whose rows can be opened again. */
function made() {
  const store = new KbStore();
  const versions = new Map<string, SignedVersion>();
  const open = () => new AuthorLog(store, ana.nodeId, versions);
  const log = open();
  const add = (version: SignedVersion) => {
    versions.set(version.cidText, version);
    return log.add(version);
  };
  return { log, add, open };
}

const naive = (log: AuthorLog, from: number, to: number): Uint8Array => {
  const digest = new SetDigest();
  for (const version of log.between(from, to)) digest.toggle(memberOf(version));
  return digest.bytes;
};

const RANGES = [
  [1, 1000],
  [1, 255],
  [1, 256],
  [257, 513],
  [300, 300],
  [999, 5000],
  [2000, 3000],
] as const;

function expectDigests(log: AuthorLog): void {
  for (const [from, to] of RANGES) expect(log.digest(from, to)).toEqual(naive(log, from, to));
}

describe('AuthorLog', () => {
  it('digests any range as a fold of its members, also after a late equivocation', () => {
    const { log, add, open } = made();
    for (let i = 1; i <= 1000; i += 1) add(entry(i));
    expectDigests(log);
    const before = log.digest(1, 1000);
    expect(add(entry(257, 'again'))).toEqual([entry(257), entry(257, 'again')]);
    expect(log.digest(1, 1000)).not.toEqual(before);
    expectDigests(log);
    expectDigests(open());
    expect([...open().between(256, 258)].map(({ version }) => version.sequence)).toEqual([
      256, 257, 257, 258,
    ]);
    expect(open()).toMatchObject({ sequence: 1000, count: 1001, sizeBytes: 1001 });
  });

  it('is as if they had never been when versions are taken out, but keeps their place', () => {
    const { log, add, open } = made();
    for (let i = 1; i <= 600; i += 1) add(entry(i));
    add(entry(300, 'again'));
    log.remove(entry(300));
    expect([...log.between(300, 300)]).toEqual([entry(300, 'again')]);
    log.remove(entry(300, 'again'));
    expect([...log.between(299, 301)]).toEqual([entry(299), entry(301)]);
    expectDigests(log);
    // At the end the place goes, too; and can be taken again.
    for (let i = 600; i >= 510; i -= 1) log.remove(entry(i));
    expect(log.sequence).toBe(509);
    expectDigests(open());
    for (let i = 510; i <= 520; i += 1) add(entry(i, 'anew'));
    expectDigests(open());
    expect(open()).toMatchObject({ sequence: 520, count: 519 });
  });

  it('accepts only what follows on', () => {
    const { log, add } = made();
    expect(log.accepts(1)).toBe(true);
    expect(log.accepts(2)).toBe(false);
    add(entry(1));
    expect([1, 2, 3].map((i) => log.accepts(i))).toEqual([true, true, false]);
    expect(() => add(entry(3))).toThrow('after the one before');
  });
});
