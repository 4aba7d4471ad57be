import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { agreementKeyOf } from '../../../src/core/crypto/agree.ts';
import { openSession } from '../../../src/core/model/session.ts';
import { BEGIN, filesIn, HOUR, openHome, prepare, settle, withHome } from './support/rotations.ts';

const times = (startsAt: number) => ({ startsAt, expiresAt: startsAt + 24 * HOUR, now: startsAt });

test('a session key is certified, durable, and erased when it is over', async () => {
  await withHome(async (dir) => {
    using keystore = await openHome(dir);
    const made = await keystore.newSession(times(BEGIN));
    const { session } = openSession(made.bytes, () => keystore.inception.identityKey);
    expect(session).toMatchObject({ nodeId: keystore.nodeId, keyEpoch: 0 });
    expect(agreementKeyOf(keystore.sessionSecret(session.sessionKey)!)).toEqual(session.sessionKey);
    const next = await keystore.newSession(times(BEGIN));
    expect(next.session.number).toBe(session.number + 1);
    using again = await openHome(dir);
    expect(again.sessions()).toEqual([next, made]);
    expect(again.sessionSecret(session.sessionKey)).toEqual(
      keystore.sessionSecret(session.sessionKey),
    );
    await again.dropSessions(BEGIN + 24 * HOUR);
    expect(again.sessions()).toEqual([]);
    expect(again.sessionSecret(session.sessionKey)).toBeUndefined();
    expect((await filesIn(dir)).filter((name) => name.startsWith('session'))).toEqual([]);
    // Numbers grow though nothing is left to count on.
    const later = await again.newSession(times(BEGIN + 25 * HOUR));
    expect(later.session.number).toBeGreaterThan(next.session.number);
  });
});

test('a certificate of an earlier key epoch is still known, a damaged one is not', async () => {
  await withHome(async (dir) => {
    using keystore = await openHome(dir);
    const made = await keystore.newSession(times(BEGIN));
    await settle(dir, await prepare(dir, ['identity']));
    using again = await openHome(dir);
    expect(again.sessions()).toEqual([made]);
    const fresh = await again.newSession(times(BEGIN + HOUR));
    expect(fresh.session.keyEpoch).toBe(1);
    const { number } = made.session;
    await writeFile(join(dir, 'session', `${number}.cbor`), 'rubbish');
    await writeFile(join(dir, 'session', `${fresh.session.number}.key.json`), 'rubbish');
    using third = await openHome(dir);
    expect(third.sessions()).toEqual([]);
  });
});
