import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { publicKeyOf } from '../../../src/core/crypto/sign.ts';
import { peerIdOf } from '../../../src/core/model/identity.ts';
import type { Heard } from '../../../src/core/network/hello.ts';
import { Identities } from '../../../src/core/network/identities.ts';

const key = (): Uint8Array => publicKeyOf(randomBytes(32));

function heard(nodeId: string, networkKey: Uint8Array, shown: readonly Uint8Array[] = []): Heard {
  const shape = { keyNumber: 0, agent: 'a', instance: undefined };
  const identity = { nodeId, name: nodeId, networkKey, ...shape };
  return { identity, networkKeys: [networkKey, ...shown], purpose: 'talk' };
}

describe('Identities', () => {
  it('believe what is proved, then the chain, then who answers', () => {
    const [proved, final, shown, other] = [key(), key(), key(), key()];
    const ids = new Identities({
      ownerOf: (networkKey) => (Buffer.compare(networkKey, final) === 0 ? 'b' : undefined),
    });
    ids.keep(peerIdOf(proved), heard('a', proved, [final, shown]), 0);
    expect([proved, final, shown].map((one) => ids.ownerOf(peerIdOf(one)))).toEqual([
      'a',
      'b',
      undefined,
    ]);
    const meant = (one: Uint8Array): boolean => ids.isMeant(peerIdOf(proved), peerIdOf(one));
    expect([proved, final, shown, other].map(meant)).toEqual([true, false, true, false]);
    expect(ids.isMeant(peerIdOf(other), peerIdOf(shown))).toBe(false);
    expect([ids.ownerOf('nonsense'), ids.get(peerIdOf(other))]).toEqual([undefined, undefined]);
  });

  it('ask the last review about those who were judged before it', () => {
    const [early, late] = [key(), key()].map((one) => ({ one, id: peerIdOf(one) }));
    const ids = new Identities({});
    ids.keep(early!.id, heard('early', early!.one), ids.reviews);
    const before = ids.reviews;
    ids.review(({ nodeId }) => nodeId === 'nobody');
    expect(ids.accepted(early!.id)).toBeUndefined();
    expect(ids.get(early!.id)?.nodeId).toBe('early');
    ids.keep(late!.id, heard('late', late!.one), before);
    expect(ids.accepted(late!.id)).toBeUndefined();
    ids.keep(late!.id, heard('late', late!.one), ids.reviews);
    expect(ids.accepted(late!.id)?.nodeId).toBe('late');
  });

  it('forget the oldest', () => {
    const ids = new Identities({});
    const networkKey = key();
    for (let i = 0; i <= 4096; i += 1) ids.keep(`id${i}`, heard(`n${i}`, networkKey), 0);
    expect([ids.get('id0'), ids.get('id1')?.nodeId]).toEqual([undefined, 'n1']);
  });
});
