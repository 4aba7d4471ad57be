/** What a custodian writes into an invitation. */
import { expect, test } from 'vitest';
import { Roster, type RosterMember } from '../../../src/core/chain/roster.ts';
import { onionKeyOf } from '../../../src/core/crypto/onion.ts';
import {
  INVITATION_ENTRIES_MAX,
  INVITATION_MEMBERS_MAX,
  invitationFromText,
} from '../../../src/core/model/invitation-file.ts';
import { Author } from '../../../src/core/node/author.ts';
import { MemberDesk, type MemberDeskDeps } from '../../../src/core/node/member-desk.ts';
import { verified } from '../../../src/core/units.ts';
import { Owner } from '../../helpers/owner.ts';
import { CLUSTER_ID, Members } from './support/members.ts';
import { log } from './support/node.ts';

const CHECKPOINT = { height: 3000, digest: 'ab'.repeat(32) };

function deskOf(custodian: Owner, roster: Roster, more: Partial<MemberDeskDeps> = {}): MemberDesk {
  const ring = { identity: () => custodian.identity, current: custodian.state };
  return new MemberDesk(
    {
      ...{ clusterId: CLUSTER_ID, self: custodian.nodeId, genesis: new Uint8Array(9) },
      ...{ addresses: () => ['/ip4/127.0.0.1/tcp/1'], storageWeight: 0 },
    },
    {
      ...{ roster, log, author: new Author(custodian.nodeId, { roster, ring }) },
      keystore: { inceptionBytes: new Uint8Array(), origin: custodian.node.keys, succession: [] },
      addressesOf: () => [],
      isUsed: () => false,
      checkpoint: () => CHECKPOINT,
      submit: () => {},
      now: () => Date.UTC(2026, 10, 21),
      onionFor: async () => undefined,
      ...more,
    },
  );
}

test('however often others change their keys, an invitation can be read', async () => {
  const [custodian, other] = [new Owner(1), new Owner(2)];
  custodian.rotate(['network']);
  const members = new Members(other, custodian);
  members.finalise(custodian);
  const [first, own] = members.roster.members();
  // Agents with as many entries as they may have.
  const entry = custodian.entries[0]!;
  const succession = Array.from({ length: 1024 }, () => verified({ ...entry }));
  const agents = Array.from({ length: INVITATION_MEMBERS_MAX }, (_, at) => {
    const end = String.fromCharCode(97 + (at % 26), 97 + Math.floor(at / 26));
    const nodeId = `${other.nodeId.slice(0, -3)}${end}${other.nodeId.at(-1)}`;
    const busy = at < INVITATION_ENTRIES_MAX / 512 ? { succession } : {};
    return { ...first!, nodeId, role: 'agent' as const, ...busy };
  });
  const roster = new Roster([...agents, first!, own!]);
  const desk = deskOf(custodian, roster);
  const { invitation } = await desk.invite({ nodeId: new Owner(9).nodeId, expiresInMs: 60_000 });
  const file = invitationFromText(invitation);
  // By the keys of its maker it is checked, and custodians are dialled first.
  expect(file.successions[0]).toEqual(entry.bytes);
  expect(file.addresses).toHaveLength(INVITATION_MEMBERS_MAX);
  const dialled = file.addresses.slice(0, 2).map(({ nodeId }) => nodeId);
  expect(dialled).toEqual([custodian.nodeId, other.nodeId]);
});

test('an invitation has a checkpoint, and the bundle of a maker who came later', async () => {
  const [first, late] = [new Owner(1), new Owner(2)];
  const inviteOf = async (more: Partial<RosterMember>) => {
    const members = new Members(first, late);
    members.finalise(late, more);
    const desk = deskOf(late, members.roster);
    const { invitation } = await desk.invite({ nodeId: new Owner(9).nodeId, expiresInMs: 60_000 });
    return invitationFromText(invitation);
  };
  expect(await inviteOf({})).toMatchObject({ checkpoint: CHECKPOINT });
  expect((await inviteOf({})).inviter).toBeUndefined();
  const { bundle } = late.node;
  expect((await inviteOf({ bundle })).inviter).toEqual(bundle);
});

test('an invitation of a node that uses Tor leads to its service, by a key (O16)', async () => {
  const inviter = new Owner(1);
  const members = new Members(inviter);
  const onion = {
    address: onionKeyOf(new Uint8Array(32)).address,
    clientKey: new Uint8Array(32).fill(7),
  };
  const asked: unknown[] = [];
  const desk = deskOf(inviter, members.roster, {
    onionFor: async (invitation) => {
      asked.push(invitation);
      return onion;
    },
  });
  const made = await desk.invite({ nodeId: new Owner(9).nodeId, expiresInMs: 60_000 });
  expect(asked).toEqual([{ id: made.id, expiresAt: Date.parse(made.expiresAt) }]);
  expect(invitationFromText(made.invitation).onion).toEqual(onion);
});
