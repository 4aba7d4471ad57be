/**
 * What a custodian hands to a node that it invites, as one file: the genesis, the invitation, where
 * members can be dialled, and how their keys have changed since. Only the invitation in it is the
 * custodian's word; all else proves itself, or is a hint. The signature of the invitation is
 * judged with the keys that the rest of the file leads to. With a client key (O16) the file is a
 * secret: who has it can find the onion service of its maker, and pass no hello by it.
 */
import { hex } from '../bytes.ts';
import { onionAddressOf, parseOnionAddress } from '../crypto/onion.ts';
import { AegisError } from '../errors.ts';
import { type Verified, verified } from '../units.ts';
import { fromArmour, toArmour } from './armour.ts';
import {
  ADDRESS_BYTES_MAX,
  ADDRESSES_MAX,
  BUNDLE_BYTES_MAX,
  isAddress,
  openBundle,
} from './bundle.ts';
import { decode, encode } from './cbor.ts';
import type { Checkpoint } from './checkpoint.ts';
import { furthest } from './furthest.ts';
import { GENESIS_BYTES_MAX, type Genesis, type Member, openGenesis } from './genesis.ts';
import { isNodeId } from './identity.ts';
import { INVITATION_BYTES_MAX, readInvitation, type SignedInvitation } from './membership.ts';
import { RecordReader } from './record.ts';
import { checkHolds, ENVELOPE_BYTES_MAX } from './signed.ts';
import {
  type KeyState,
  openSuccession,
  type SignedSuccession,
  SUCCESSION_BYTES_MAX,
} from './succession.ts';

/** Longest invitation file, decoded. */
export const INVITATION_FILE_BYTES_MAX = GENESIS_BYTES_MAX + 8 * 1024 * 1024;
/** Most members whose addresses it tells. */
export const INVITATION_MEMBERS_MAX = 512;
/** Most entries of all members' successions. */
export const INVITATION_ENTRIES_MAX = 8192;
/** Bytes of entries that fit in any case, beside a genesis and the addresses of all. */
export const INVITATION_ENTRY_BYTES_MAX = 5 * 1024 * 1024;

interface MemberAddresses {
  readonly nodeId: string;
  readonly addresses: readonly string[];
}

export interface InvitationFile {
  readonly genesis: Uint8Array;
  /** Signed invitation bytes. */
  readonly invitation: Uint8Array;
  readonly addresses: readonly MemberAddresses[];
  /** Signed entries, of any members of the genesis. */
  readonly successions: readonly Uint8Array[];
  /** The signed bundle of an inviter who is not in the genesis: it proves whose keys those are. */
  readonly inviter?: Uint8Array;
  /** Y5: a header that must be in the history. */
  readonly checkpoint?: Checkpoint;
  readonly onion?: OnionInvitation;
}

/** O16: the way to the onion service of the maker, until the invitation is used or over. */
export interface OnionInvitation {
  /** 56 characters and `.onion`. */
  readonly address: string;
  /** X25519 secret, 32 bytes. */
  readonly clientKey: Uint8Array;
}

const CLIENT_KEY_BYTES = 32;

/** A file whose every part has been checked. */
export interface OpenInvitationFile {
  readonly file: InvitationFile;
  readonly genesis: Genesis;
  readonly invitation: SignedInvitation;
  /** Keys of the members of the genesis, as far as the file leads. */
  readonly keys: readonly KeyState[];
}

const NAMES = [
  'genesis',
  'invitation',
  'addresses',
  'successions',
  'inviter',
  'checkpoint',
  'onion',
];

const BUNDLE_LIMITS = { maxBytes: BUNDLE_BYTES_MAX + ENVELOPE_BYTES_MAX };

const bad = (why: string): AegisError =>
  new AegisError('BAD_ENCODING', `the invitation file ${why}`);

/** The text form, for files and mails. */
export function invitationToText(file: InvitationFile): string {
  const { genesis, invitation, addresses, successions, inviter, checkpoint, onion } = file;
  const record = {
    ...{ genesis, invitation, addresses, successions },
    ...(inviter && { inviter }),
    ...(checkpoint && { checkpoint: encodeCheckpoint(checkpoint) }),
    ...(onion && { onion: { address: onion.address, clientKey: onion.clientKey } }),
  };
  return toArmour('INVITATION', encode({ v: 1, type: 'invitation-file', ...record }));
}

/**
 * The parts of a text form. `openInvitationFile` checks them.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`, `BAD_ONION_ADDRESS`.
 */
export function invitationFromText(text: string): InvitationFile {
  const bytes = fromArmour('INVITATION', text, INVITATION_FILE_BYTES_MAX);
  const value = decode(bytes, { maxBytes: INVITATION_FILE_BYTES_MAX });
  const record = new RecordReader(value, 'invitation-file', NAMES);
  const entryBytesMax = SUCCESSION_BYTES_MAX + ENVELOPE_BYTES_MAX;
  return {
    genesis: record.bytes('genesis', { maxBytes: GENESIS_BYTES_MAX }),
    invitation: record.bytes('invitation', { maxBytes: INVITATION_BYTES_MAX + ENVELOPE_BYTES_MAX }),
    addresses: record.list('addresses', INVITATION_MEMBERS_MAX).map(readAddresses),
    successions: record.byteStrings('successions', INVITATION_ENTRIES_MAX, entryBytesMax),
    ...(record.has('inviter') ? { inviter: record.bytes('inviter', BUNDLE_LIMITS) } : {}),
    ...(record.has('checkpoint') ? { checkpoint: readCheckpoint(record.item('checkpoint')) } : {}),
    ...(record.has('onion') ? { onion: readOnion(record.item('onion')) } : {}),
  };
}

function readOnion(value: unknown): OnionInvitation {
  const record = new RecordReader(value, 'onion service', ['address', 'clientKey'], null);
  const address = onionAddressOf(parseOnionAddress(record.text('address', { maxBytes: 64 })));
  return { address, clientKey: record.bytes('clientKey', { length: CLIENT_KEY_BYTES }) };
}

const encodeCheckpoint = ({ height, digest }: Checkpoint) => ({
  height,
  digest: new Uint8Array(Buffer.from(digest, 'hex')),
});

function readCheckpoint(value: unknown): Checkpoint {
  const record = new RecordReader(value, 'checkpoint', ['height', 'digest'], null);
  const height = record.integer('height', 1);
  return { height, digest: hex(record.bytes('digest', { length: 32 })) };
}

function readAddresses(value: unknown): MemberAddresses {
  const record = new RecordReader(value, 'member', ['nodeId', 'addresses'], null);
  const nodeId = record.text('nodeId', { maxBytes: 64 });
  const addresses = record.texts('addresses', ADDRESSES_MAX, { maxBytes: ADDRESS_BYTES_MAX });
  if (!isNodeId(nodeId)) throw bad('names what is not a node id');
  if (!addresses.every(isAddress)) throw bad('has an address that is not a multiaddr');
  return { nodeId, addresses };
}

/**
 * Checks that the invitation is for this cluster, and by a member with the keys to which the
 * successions in the file lead. That the inviter is a custodian now (E3) the file cannot show: the
 * chain judges it when it admits.
 * @throws {AegisError} `OTHER_CLUSTER`, `BAD_ENCODING`, `TOO_LARGE`, `BAD_SIGNATURE`, `BAD_DATA`
 * when somebody else made the invitation, what `openGenesis` throws.
 */
export function openInvitationFile(file: InvitationFile): Verified<OpenInvitationFile> {
  const genesis = openGenesis(file.genesis);
  const { signed: invitation, check } = readInvitation(file.invitation, genesis.clusterId);
  const keys = keysOf(genesis, file.inviter, file.successions.map(openSuccession));
  const { inviter, keyEpoch } = invitation.invitation;
  const state = keys.find(({ nodeId }) => nodeId === inviter);
  if (state === undefined) {
    throw new AegisError('BAD_DATA', 'the invitation is not by a member of the cluster');
  }
  if (state.keyEpoch !== keyEpoch) {
    throw new AegisError('BAD_DATA', 'the invitation is by keys that its maker has replaced', {
      hint: 'Ask for another invitation.',
    });
  }
  checkHolds('invitation', check, state.keys.identityKey);
  return verified({ file, genesis, invitation, keys });
}

function keysOf(
  { members }: Genesis,
  inviter: Uint8Array | undefined,
  entries: readonly Verified<SignedSuccession>[],
): readonly KeyState[] {
  const entriesOf = Map.groupBy(entries, ({ succession }) => succession.nodeId);
  const first = members.map(({ keys }) => keys);
  if (inviter !== undefined) first.push(newcomer(members, inviter));
  return first.map((keys) => furthest(keys, [], entriesOf.get(keys.nodeId) ?? []).state);
}

function newcomer(members: readonly Member[], bundle: Uint8Array): KeyState {
  const { nodeId, keys } = openBundle(bundle);
  if (members.every((member) => member.nodeId !== nodeId)) return keys;
  throw bad('has a bundle of a member of the genesis');
}
