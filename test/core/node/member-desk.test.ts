/** What a custodian writes into an invitation. */
import { expect, test } from 'vitest';
import { Roster } from '../../../src/core/chain/roster.ts';
import {
  INVITATION_ENTRIES_MAX,
  INVITATION_MEMBERS_MAX,
  invitationFromText,
} from '../../../src/core/model/invitation-file.ts';
import { Author } from '../../../src/core/node/author.ts';
import { MemberDesk } from '../../../src/core/node/member-desk.ts';
import { verified } from '../../../src/core/units.ts';
import { Owner } from '../../helpers/owner.ts';
import { CLUSTER_ID, Members } from './support/members.ts';
import { log } from './support/node.ts';

test('however often others change their keys, an invitation can be read', () => {
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
  const ring = { identity: () => custodian.identity, current: custodian.state };
  const desk = new MemberDesk(
    {
      ...{ clusterId: CLUSTER_ID, self: custodian.nodeId, genesis: new Uint8Array(9) },
      ...{ addresses: () => ['/ip4/127.0.0.1/tcp/1'], storageWeight: 0 },
    },
    {
      ...{ roster, log, author: new Author(custodian.nodeId, { roster, ring }) },
      keystore: { inceptionBytes: new Uint8Array(), origin: custodian.node.keys, succession: [] },
      addressesOf: () => [],
      isUsed: () => false,
      submit: () => {},
      now: () => Date.UTC(2026, 10, 21),
    },
  );
  const { invitation } = desk.invite({ nodeId: new Owner(9).nodeId, expiresInMs: 60_000 });
  const file = invitationFromText(invitation);
  // By the keys of its maker it is checked, and custodians are dialled first.
  expect(file.successions[0]).toEqual(entry.bytes);
  expect(file.addresses).toHaveLength(INVITATION_MEMBERS_MAX);
  const dialled = file.addresses.slice(0, 2).map(({ nodeId }) => nodeId);
  expect(dialled).toEqual([custodian.nodeId, other.nodeId]);
});
