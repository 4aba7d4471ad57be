/** Both sides compute the same client keys from what the chain says (O13 to O16), nobody else. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hex } from '../../../src/core/bytes.ts';
import type { OpenInvitationFile } from '../../../src/core/model/invitation-file.ts';
import { invitationKeyOf } from '../../../src/core/node/onion-invitations.ts';
import { Owner } from '../../helpers/owner.ts';
import { CLUSTER_ID } from './support/members.ts';
import { DAY, MIDST, OnionWorld, onionOf, publicHalf } from './support/onion-world.ts';

/** Public keys in the descriptor of an owner's service, in hex. */
const inDescriptor = (world: OnionWorld, owner: Owner): string[] =>
  world
    .keysOf(owner)
    .clientsOf(onionOf(owner))
    .flatMap(({ keys }) => keys.map(hex));

/** Public halves of what an owner would try there. */
const tried = (world: OnionWorld, client: Owner, service: Owner, invited?: OpenInvitationFile) =>
  world.keysOf(client, invited).candidates(onionOf(service).publicKey).map(publicHalf);

test('each member finds each other one with the first key that it tries', () => {
  const world = new OnionWorld();
  for (const service of world.owners) {
    const keys = inDescriptor(world, service);
    expect(keys).toHaveLength(3);
    for (const client of world.owners) {
      expect(keys).toContain(tried(world, client, service)[0]);
    }
  }
});

test('a stranger with the genesis, and one that has left, find nobody', () => {
  const world = new OnionWorld();
  const [ana, bea] = world.owners;
  const stranger = new Owner(9);
  const keys = inDescriptor(world, ana);
  for (const key of tried(world, stranger, ana)) expect(keys).not.toContain(key);
  world.finalise(bea, { status: 'left' });
  const after = inDescriptor(world, ana);
  for (const key of tried(world, bea, ana)) expect(after).not.toContain(key);
});

test.each(['ban', 'freeze'])('a %s takes the keys of a member out', (how) => {
  const world = new OnionWorld();
  const [ana, bea, eve] = world.owners;
  if (how === 'ban') world.banned.add(bea.nodeId);
  else world.finalise(bea, { isFrozen: true });
  const keys = inDescriptor(world, ana);
  expect(keys).toHaveLength(2);
  for (const key of tried(world, bea, ana)) expect(keys).not.toContain(key);
  expect(keys).toContain(tried(world, eve, ana)[0]);
});

test('within the grace of a network key both lead in, afterwards only the new one (O14)', () => {
  const world = new OnionWorld();
  const [ana, bea] = world.owners;
  const [before] = tried(world, bea, ana);
  const key = bea.state.keys.networkKey;
  bea.rotate(['network']);
  world.finalise(bea, { retiredNetworkKey: { key, until: MIDST + DAY } });
  const [after] = tried(world, bea, ana);
  expect(inDescriptor(world, ana)).toEqual(expect.arrayContaining([before, after]));
  world.now = MIDST + DAY;
  const keys = inDescriptor(world, ana);
  expect(keys).toContain(after);
  expect(keys).not.toContain(before);
});

test('clocks that differ by less than two hours agree on a key, at any time (O14)', () => {
  const world = new OnionWorld();
  const [ana, bea] = world.owners;
  const twoHours = 2 * 3600 * 1000 - 1;
  fc.assert(
    fc.property(fc.nat(14 * DAY), fc.integer({ min: -twoHours, max: twoHours }), (at, skew) => {
      world.now = MIDST + at;
      const keys = inDescriptor(world, ana);
      world.now += skew;
      expect(tried(world, bea, ana).some((key) => keys.includes(key))).toBe(true);
    }),
    { numRuns: 30 },
  );
});

test('two epochs double the keys near the change, and only there', () => {
  const world = new OnionWorld();
  const [ana] = world.owners;
  const change = MIDST + 4 * DAY;
  const counts = [-3, -1, 1, 3].map((hours) => {
    world.now = change + hours * 3600 * 1000;
    return inDescriptor(world, ana).length;
  });
  expect(counts).toEqual([3, 6, 6, 3]);
});

test('an invitation has a key of its own, which leads a joiner in (O16)', () => {
  const world = new OnionWorld();
  const [ana] = world.owners;
  const joiner = new Owner(9);
  world.invitations.push({ id: 'one', expiresAt: MIDST + DAY });
  const onion = onionOf(ana);
  const clientKey = invitationKeyOf(onion, CLUSTER_ID, 'one');
  const invited = { file: { onion: { address: onion.address, clientKey } } } as OpenInvitationFile;
  expect(inDescriptor(world, ana)).toContain(tried(world, joiner, ana, invited)[0]);
  // It is for that service only, and a member tries it last (O19).
  expect(tried(world, joiner, world.owners[1], invited)).not.toContain(publicHalf(clientKey));
  expect(tried(world, world.owners[2], ana, invited).at(-1)).toBe(publicHalf(clientKey));
  expect(tried(world, world.owners[2], ana, invited)).toHaveLength(2);
});

test('the key of a service that is no point leads to no candidates, and stops nobody', () => {
  const world = new OnionWorld();
  const keys = world.keysOf(world.owners[0]);
  expect(keys.candidates(new Uint8Array(32))).toEqual([]);
});
