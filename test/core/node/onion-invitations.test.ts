/** One-time client keys of invitations (O16): they survive a restart, and end by use or by time. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { onionKeyOf } from '../../../src/core/crypto/onion.ts';
import {
  invitationKeyOf,
  ONION_INVITATIONS_MAX,
  ONION_INVITATIONS_TABLE,
  OnionInvitations,
} from '../../../src/core/node/onion-invitations.ts';

type Change = { table: string; key: string; value: Uint8Array | undefined };

/** What a disk would have kept. */
class Rows {
  readonly rows = new Map<string, Uint8Array>();

  async commit(changes: readonly Change[]): Promise<void> {
    for (const { table, key, value } of changes) {
      expect(table).toBe(ONION_INVITATIONS_TABLE);
      if (value === undefined) this.rows.delete(key);
      else this.rows.set(key, value);
    }
  }

  async scan(): Promise<{ key: string; value: Uint8Array }[]> {
    return [...this.rows].map(([key, value]) => ({ key, value }));
  }
}

const world = () => {
  const store = new Rows();
  const used = new Set<string>();
  const clock = { now: 1000 };
  const deps = { isUsed: (id: string) => used.has(id), now: () => clock.now };
  return { store, used, clock, open: () => OnionInvitations.open(store, deps) };
};

test('an invitation is open until it is used or over, also after a restart', async () => {
  const { open, used, clock } = world();
  const before = await open();
  await before.add({ id: 'a', expiresAt: 2000 });
  await before.add({ id: 'b', expiresAt: 3000 });
  const after = await open();
  expect(after.all()).toEqual(before.all());
  used.add('b');
  expect(after.all()).toEqual([{ id: 'a', expiresAt: 2000 }]);
  clock.now = 2000;
  expect(after.all()).toEqual([]);
});

test('what is over leaves the disk with the next one, and so many are open at most', async () => {
  const { open, store, clock } = world();
  const invitations = await open();
  for (let at = 0; at < ONION_INVITATIONS_MAX; at += 1) {
    await invitations.add({ id: `id ${at}`, expiresAt: 2000 });
  }
  const one = { id: 'one more', expiresAt: 9000 };
  await expect(invitations.add(one)).rejects.toMatchObject({ code: 'BUSY' });
  clock.now = 2001;
  await invitations.add(one);
  expect([...store.rows.keys()]).toEqual(['one more']);
});

test('a damaged row is told, not passed over', async () => {
  const { open, store } = world();
  store.rows.set('a', new Uint8Array(3));
  await expect(open()).rejects.toMatchObject({ code: 'BAD_ENCODING' });
});

test('keys of invitations differ by service, cluster and id, and nothing else', () => {
  fc.assert(
    fc.property(fc.nat(255), fc.nat(255), fc.string(), fc.string(), (a, b, cluster, id) => {
      const service = (seed: number) => onionKeyOf(new Uint8Array(32).fill(seed));
      const key = invitationKeyOf(service(a), cluster, id);
      expect(key).toEqual(invitationKeyOf(service(a), cluster, id));
      expect(key).toHaveLength(32);
      expect(invitationKeyOf(service(a), `${cluster}x`, id)).not.toEqual(key);
      expect(invitationKeyOf(service(a), cluster, `${id}x`)).not.toEqual(key);
      if (a !== b) expect(invitationKeyOf(service(b), cluster, id)).not.toEqual(key);
    }),
    { numRuns: 20 },
  );
});
