import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { onionKeyOf } from '../../../src/core/crypto/onion.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { fromArmour, toArmour } from '../../../src/core/model/armour.ts';
import { ADDRESSES_MAX } from '../../../src/core/model/bundle.ts';
import { decode, encode } from '../../../src/core/model/cbor.ts';
import { createGenesis, openGenesis } from '../../../src/core/model/genesis.ts';
import {
  INVITATION_ENTRIES_MAX,
  INVITATION_FILE_BYTES_MAX,
  INVITATION_MEMBERS_MAX,
  type InvitationFile,
  invitationFromText,
  invitationToText,
  openInvitationFile,
} from '../../../src/core/model/invitation-file.ts';
import { createInvitation } from '../../../src/core/model/membership.ts';
import type { Signer } from '../../../src/core/ports.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { seedOf, testNode } from '../../helpers/nodes.ts';
import { Owner } from '../../helpers/owner.ts';
import { toHex } from '../../helpers/vectors.ts';

const agent = testNode(5, 'node5', 'agent');
const bundles = [testNode(1).bundle, testNode(2).bundle, agent.bundle];
const genesis = createGenesis({ name: 'notes', createdAt: 7, bundles });
const { clusterId } = openGenesis(genesis);

/** An invitation by the node with this number, as its keys are. */
function inviteBy(inviter: string, keyEpoch: number, signer: Signer, cluster = clusterId) {
  const id = 'ab'.repeat(16);
  const nodeId = testNode(9).nodeId;
  const fields = { clusterId: cluster, id, inviter, keyEpoch, nodeId };
  return createInvitation({ ...fields, createdAt: 1, expiresAt: 1000 }, signer).bytes;
}

const owner = new Owner(1);
owner.rotate(['network']);
owner.rotate(['identity', 'network']);
const file: InvitationFile = {
  genesis,
  invitation: inviteBy(owner.nodeId, 1, owner.identity),
  addresses: [{ nodeId: owner.nodeId, addresses: ['/ip4/127.0.0.1/tcp/4001'] }],
  successions: owner.entries.map(({ bytes }) => bytes),
};

test('the text form holds the same parts', () => {
  const text = invitationToText(file);
  expect(text).toMatch(/^-----BEGIN AEGIS INVITATION-----\n/);
  expect(invitationFromText(text)).toEqual(file);
  expect(invitationFromText(text.replaceAll('\n', '\r\n  '))).toEqual(file);
  expect(() => invitationFromText(text.replaceAll('INVITATION', 'GENESIS'))).toThrow(
    'not an aegis invitation',
  );
});

test('the file leads to the keys of members, and with them to who invites', () => {
  const opened = openInvitationFile(file);
  expect(opened.genesis.clusterId).toBe(clusterId);
  expect(opened.invitation.invitation).toMatchObject({ inviter: owner.nodeId, keyEpoch: 1 });
  const state = opened.keys.find(({ nodeId }) => nodeId === owner.nodeId);
  expect(state).toEqual(owner.state);
  expect(opened.keys).toHaveLength(3);
});

test('an invitation by anybody but a member with its keys in force is refused', () => {
  const second = testNode(2);
  const foreign = openGenesis(
    createGenesis({ name: 'other', createdAt: 7, bundles: [testNode(1).bundle] }),
  ).clusterId;
  const cases: [string, Partial<InvitationFile>][] = [
    ['not by a member', { invitation: inviteBy(testNode(8).nodeId, 0, testNode(8).signer) }],
    [
      'keys that its maker has replaced',
      { invitation: inviteBy(owner.nodeId, 0, testNode(1).signer) },
    ],
    ['keys that its maker has replaced', { successions: [] }],
    ['does not fit', { invitation: inviteBy(owner.nodeId, 1, second.signer) }],
    ['for another cluster', { invitation: inviteBy(second.nodeId, 0, second.signer, foreign) }],
  ];
  for (const [why, change] of cases) {
    expect(() => openInvitationFile({ ...file, ...change }), why).toThrow(why);
    expect(onlyAegisErrors(() => openInvitationFile({ ...file, ...change }))).toBe('refused');
  }
  // An agent of the genesis may have become a custodian since (E3).
  for (const node of [second, agent]) {
    const plain = { ...file, invitation: inviteBy(node.nodeId, 0, node.signer) };
    expect(onlyAegisErrors(() => openInvitationFile(plain))).toBe('accepted');
  }
});

test('a custodian that came after the genesis shows whose keys sign, by its bundle', () => {
  const late = testNode(8, 'node8', 'agent');
  const invitation = inviteBy(late.nodeId, 0, late.signer);
  const whole: InvitationFile = { ...file, invitation, inviter: late.bundle };
  const opened = openInvitationFile(invitationFromText(invitationToText(whole)));
  expect(opened.file).toEqual(whole);
  expect(opened.keys.map(({ nodeId }) => nodeId)).toContain(late.nodeId);
  expect(() => openInvitationFile({ ...file, invitation })).toThrow('not by a member');
  const forged = inviteBy(late.nodeId, 0, testNode(9).signer);
  expect(() => openInvitationFile({ ...whole, invitation: forged })).toThrow('does not fit');
  expect(() => openInvitationFile({ ...whole, inviter: agent.bundle })).toThrow('of the genesis');
});

test('a checkpoint comes with the file', () => {
  const checkpoint = { height: 12, digest: 'ab'.repeat(32) };
  const whole: InvitationFile = { ...file, checkpoint };
  expect(invitationFromText(invitationToText(whole))).toEqual(whole);
  expect(openInvitationFile(whole).file.checkpoint).toEqual(checkpoint);
});

test('O16: the way to an onion service comes with the file', () => {
  const { address } = onionKeyOf(seedOf(3));
  const whole: InvitationFile = { ...file, onion: { address, clientKey: seedOf(4) } };
  expect(invitationFromText(invitationToText(whole))).toEqual(whole);
  expect(openInvitationFile(whole).file.onion).toEqual(whole.onion);
  const read = (onion: object) => () =>
    invitationFromText(invitationToText({ ...whole, onion } as InvitationFile));
  expect(read({ clientKey: seedOf(4), address: address.toUpperCase() })().onion).toEqual(
    whole.onion,
  );
  const wrong = address.startsWith('a') ? `b${address.slice(1)}` : `a${address.slice(1)}`;
  expect(read({ clientKey: seedOf(4), address: wrong })).toThrow('checksum');
  expect(read({ clientKey: seedOf(4).subarray(1), address })).toThrow('"clientKey"');
  expect(read({ clientKey: seedOf(4), address: `${address}.onion.onion` })).toThrow('"address"');
});

const many = <T>(length: number, one: T): T[] => Array.from({ length }, () => one);

test('the limits hold', () => {
  const read = (change: object) => () =>
    invitationFromText(
      toArmour('INVITATION', encode({ v: 1, type: 'invitation-file', ...file, ...change })),
    );
  const { nodeId } = owner;
  const one = { nodeId, addresses: [] };
  expect(read({ addresses: many(INVITATION_MEMBERS_MAX, one) })).not.toThrow();
  const refused: object[] = [
    { addresses: many(INVITATION_MEMBERS_MAX + 1, one) },
    { addresses: [{ nodeId, addresses: Array(ADDRESSES_MAX + 1).fill('/ip4/127.0.0.1') }] },
    { addresses: [{ nodeId, addresses: ['127.0.0.1'] }] },
    { addresses: [{ nodeId: 'x', addresses: [] }] },
    { addresses: [{ nodeId, addresses: [], more: 1 }] },
    { successions: many(INVITATION_ENTRIES_MAX + 1, new Uint8Array()) },
    { successions: [new Uint8Array(2200)] },
    { successions: 'none' },
    { invitation: new Uint8Array(1200) },
    { inviter: new Uint8Array(60_000) },
    { checkpoint: { height: 0, digest: new Uint8Array(32) } },
    { checkpoint: { height: 1, digest: new Uint8Array(31) } },
    { checkpoint: { height: 1 } },
    { checkpoint: null },
    { v: 2 },
    { more: 1 },
  ];
  for (const [at, change] of refused.entries()) {
    expect(onlyAegisErrors(read(change)), `${at}`).toBe('refused');
  }
  expect(() => invitationFromText('x'.repeat(2 * INVITATION_FILE_BYTES_MAX + 2000))).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'TOO_LARGE')) as Error,
  );
});

test('a mutation is refused, or changes no more than what nobody has signed', () => {
  const bytes = fromArmour('INVITATION', invitationToText(file), INVITATION_FILE_BYTES_MAX);
  fc.assert(
    fc.property(mutated(bytes), (bad) => {
      fc.pre(Buffer.compare(bad, bytes) !== 0);
      onlyAegisErrors(() => {
        const opened = openInvitationFile(invitationFromText(toArmour('INVITATION', bad)));
        expect(opened.genesis.clusterId).toBe(clusterId);
        expect(opened.file.invitation).toEqual(file.invitation);
        expect(opened.file.successions).toEqual(file.successions);
      });
    }),
    { numRuns: 300 },
  );
});

test('the encoding does not change with the program', () => {
  const bytes = fromArmour('INVITATION', invitationToText(file), INVITATION_FILE_BYTES_MAX);
  expect(Object.keys(decode(bytes, { maxBytes: INVITATION_FILE_BYTES_MAX }) as object)).toEqual([
    'v',
    'type',
    'genesis',
    'addresses',
    'invitation',
    'successions',
  ]);
  expect(toHex(sha256(bytes))).toBe(
    '2490d74b82b36bf5cb84712d446009ce393295d0c28ee9a5c5c835bc8dbca2c2',
  );
});
