import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readPlace, timeoutMessage } from '../../../src/core/consensus/signed-bytes.ts';
import { Guard } from '../../../src/core/keys/signer-guard.ts';
import { GUARDS_MAX, Guards } from '../../../src/core/keys/signer-guards.ts';
import { withDirectory } from '../../helpers/keystores.ts';
import { CLUSTER, vote } from './support/signer.ts';

const KEY = new Uint8Array(48).fill(7);
const ID = Guard.idOf(KEY, CLUSTER);

const claim = (guards: Guards, message: Uint8Array, key = KEY) =>
  guards.claim(key, readPlace(message)!, message);

const inDirectory = <T>(use: (dir: string, at: { dir: string; mark: string }) => T): Promise<T> =>
  withDirectory((dir) =>
    Promise.resolve(use(dir, { dir: join(dir, 'guards'), mark: join(dir, 'mark.json') })),
  );

const fileOf = (dir: string): string => join(dir, 'guards', `${ID.toString('hex')}.guard`);

describe('one signature a slot, and none in an earlier one', () => {
  const step = fc.record({
    height: fc.integer({ min: 1, max: 4 }),
    view: fc.integer({ min: 0, max: 2 }),
    kind: fc.constantFrom('prepare' as const, 'commit' as const, 'timeout' as const),
    digest: fc.constantFrom('a', 'b'),
    restarts: fc.boolean(),
  });

  test('whatever is asked, and however often it starts again', async () => {
    const RANK = { prepare: 0, commit: 1, timeout: 2 };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) =>
        inDirectory((_, at) => {
          const signed = new Map<string, string>();
          let last = [0, 0, 0];
          let guards = new Guards(at);
          for (const { height, view, kind, digest, restarts } of steps) {
            const message =
              kind === 'timeout'
                ? timeoutMessage(CLUSTER, height, view, digest === 'a' ? undefined : 0)
                : vote(height, view, digest, kind);
            const verdict = claim(guards, message);
            const place = [height, view, RANK[kind]];
            const name = place.join('/');
            if (verdict === 'new') {
              expect(signed.has(name)).toBe(false);
              expect(place > last || place.join() > last.join()).toBe(true);
              signed.set(name, digest);
              last = place;
            } else {
              expect(verdict).toBe(signed.get(name) === digest ? verdict : 'double');
              if (verdict === 'same') expect(signed.get(name)).toBe(digest);
            }
            if (restarts) {
              guards.close();
              guards = new Guards(at);
            }
          }
          guards.close();
        }),
      ),
      { numRuns: 60 },
    );
  });

  test('the same bytes again are signed again, within the last view', () =>
    inDirectory((_, at) => {
      const guards = new Guards(at);
      expect(claim(guards, vote(1))).toBe('new');
      expect(claim(guards, vote(1, 0, 'a', 'commit'))).toBe('new');
      expect(claim(guards, vote(1))).toBe('same');
      expect(claim(guards, vote(1, 0, 'b'))).toBe('double');
      expect(claim(guards, vote(2))).toBe('new');
      expect(claim(guards, vote(1))).toBe('double');
      guards.close();
    }));

  test('keys and clusters do not disturb each other', () =>
    inDirectory((_, at) => {
      const guards = new Guards(at);
      expect(claim(guards, vote(5))).toBe('new');
      expect(claim(guards, vote(1), new Uint8Array(48).fill(8))).toBe('new');
      const elsewhere = { clusterId: 'another', kind: 'prepare', height: 1, view: 0 } as const;
      expect(guards.claim(KEY, elsewhere, vote(1))).toBe('new');
      guards.close();
    }));

  test('it is on the disk when the claim returns', () =>
    inDirectory((dir, at) => {
      const guards = new Guards(at);
      claim(guards, vote(3));
      // Another process, in effect: nothing is shared but the file.
      const other = Guard.open(fileOf(dir), ID)!;
      expect(other.claim(readPlace(vote(3, 0, 'b'))!, vote(3, 0, 'b'))).toBe('double');
      other.close();
      guards.close();
    }));
});

describe('a guard that cannot be trusted locks its key', () => {
  const prepared = (dir: string, at: { dir: string; mark: string }): void => {
    const guards = new Guards(at);
    expect(claim(guards, vote(7))).toBe('new');
    expect(claim(guards, vote(8))).toBe('new');
    guards.close();
    expect(readFileSync(fileOf(dir)).length).toBeGreaterThan(4096);
  };

  const spoilers: readonly (readonly [string, (dir: string) => void])[] = [
    ['it is gone', (dir) => rmSync(fileOf(dir))],
    ['all guards are gone', (dir) => rmSync(join(dir, 'guards'), { recursive: true })],
    ['it is empty', (dir) => truncateSync(fileOf(dir), 0)],
    ['it is cut', (dir) => truncateSync(fileOf(dir), 4096 + 100)],
    [
      'it is a copy',
      (dir) => {
        cpSync(fileOf(dir), `${fileOf(dir)}.copy`);
        rmSync(fileOf(dir));
        cpSync(`${fileOf(dir)}.copy`, fileOf(dir));
      },
    ],
  ];

  test.each(spoilers)('%s', (_, spoil) =>
    inDirectory((dir, at) => {
      prepared(dir, at);
      spoil(dir);
      const locked = new Guards(at);
      expect(claim(locked, vote(9))).toBe('locked');
      locked.close();
      const accepted = new Guards({ ...at, acceptLost: true });
      expect(claim(accepted, vote(9))).toBe('new');
      accepted.close();
      const again = new Guards(at);
      expect(claim(again, vote(9, 0, 'b'))).toBe('double');
      expect(claim(again, vote(10))).toBe('new');
      again.close();
    }),
  );

  test('any byte of a record is another one, or a torn write has left the half of it', async () => {
    const at = fc.tuple(fc.integer({ min: 0, max: 239 }), fc.constantFrom(0, 4096));
    await fc.assert(
      fc.asyncProperty(at, fc.boolean(), ([offset, sector], tears) =>
        inDirectory((dir, options) => {
          prepared(dir, options);
          const bytes = readFileSync(fileOf(dir));
          if (tears) bytes.fill(0xee, sector + offset, sector + 240);
          else bytes.writeUInt8(bytes.readUInt8(sector + offset) ^ 0x10, sector + offset);
          // In place, so that it stays the same file.
          writeFileSync(fileOf(dir), bytes, { flag: 'r+' });
          const guards = new Guards(options);
          expect(claim(guards, vote(9))).toBe('locked');
          guards.close();
          // What the other record tells is kept.
          const accepted = new Guards({ ...options, acceptLost: true });
          expect(claim(accepted, vote(6))).toBe('double');
          accepted.close();
        }),
      ),
      { numRuns: 60 },
    );
  });

  test('the keystore was restored from a backup', () =>
    inDirectory((dir, at) => {
      const restored = [Buffer.from(KEY).toString('hex')];
      const first = new Guards({ ...at, restored });
      expect(claim(first, vote(1))).toBe('locked');
      first.close();
      prepared(dir, at);
      const second = new Guards({ ...at, restored });
      expect(claim(second, vote(9))).toBe('locked');
      second.close();
      const accepted = new Guards({ ...at, restored, acceptLost: true });
      expect(claim(accepted, vote(8, 0, 'b'))).toBe('double');
      expect(claim(accepted, vote(9))).toBe('new');
      accepted.close();
    }));

  test('the mark in the keystore is damaged', () =>
    inDirectory((dir, at) => {
      prepared(dir, at);
      writeFileSync(at.mark, '{"schema":"aegis.guarded/1","guards":["x"]}');
      expect(() => new Guards(at)).toThrow(expect.objectContaining({ code: 'KEYSTORE_DAMAGED' }));
    }));
});

test('there is a limit to the clusters of a key, and each key has its own', () =>
  inDirectory((_, at) => {
    const guards = new Guards(at);
    const place = (n: number) => ({ ...readPlace(vote(1))!, clusterId: `c${n}` });
    for (let n = 0; n < GUARDS_MAX; n += 1) {
      expect(guards.claim(KEY, place(n), vote(1))).toBe('new');
    }
    expect(guards.claim(KEY, place(GUARDS_MAX), vote(1))).toBe('too-many');
    expect(guards.claim(KEY, place(0), vote(1))).toBe('same');
    const next = new Uint8Array(48).fill(8);
    expect(guards.claim(next, place(GUARDS_MAX), vote(1))).toBe('new');
    guards.close();
    const again = new Guards(at);
    expect(again.claim(next, place(1), vote(1))).toBe('new');
    expect(again.claim(KEY, place(GUARDS_MAX), vote(1))).toBe('too-many');
    again.close();
  }));
