/**
 * The file `succession.cbor`: the own succession as this home knows it, the public keys of
 * consensus from before its first entry (their secrets are erased by then), and the roles whose
 * key in force is not here. It is as public as the inception; nothing in it is secret.
 */
import { BLS_KEY_BYTES, BLS_SIGNATURE_BYTES } from '../crypto/bls.ts';
import { AegisError, hasCode, toAegisError } from '../errors.ts';
import type { ConsensusKeys } from '../model/bundle.ts';
import { decode, encode } from '../model/cbor.ts';
import type { OpenInception } from '../model/identity.ts';
import { RecordReader } from '../model/record.ts';
import {
  followAll,
  type KeyState,
  openSuccession,
  originOf,
  SUCCESSION_BYTES_MAX,
} from '../model/succession.ts';
import { damagedAt, readSmallFile } from './disk.ts';
import { OPEN_ROLES, type OpenRole, successionPath } from './layout.ts';

/** Entries that a home keeps: one a day for more than five years. */
const OWN_ENTRIES_MAX = 2048;
const ENTRY_BYTES_MAX = SUCCESSION_BYTES_MAX + 128;
const FILE_BYTES_MAX = OWN_ENTRIES_MAX * (ENTRY_BYTES_MAX + 16) + 4096;
const NAMES = ['consensusKey', 'possession', 'vrfKey', 'entries', 'lost'];

export interface OwnSuccession {
  readonly origin: ConsensusKeys;
  /** Signed bytes, from the first entry on. */
  readonly entries: readonly Uint8Array[];
  /** Roles whose key in force this home has never had, and whose retired one is erased (K3). */
  readonly lost: readonly OpenRole[];
}

export function renderOwnSuccession({ origin, entries, lost }: OwnSuccession): Uint8Array {
  const { consensusKey, possession, vrfKey } = origin;
  const keys = { consensusKey, possession, vrfKey };
  return encode({ v: 1, type: 'own-succession', ...keys, entries, lost });
}

/**
 * Undefined for a home whose keys have never been rotated.
 * @throws {AegisError} `KEYSTORE_DAMAGED`.
 */
export async function readOwnSuccession(
  dir: string,
  path = successionPath(dir),
): Promise<OwnSuccession | undefined> {
  try {
    return parse((await readSmallFile(path, FILE_BYTES_MAX)).bytes);
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined;
    if (hasCode(error, 'DENIED', 'UNREADABLE')) throw error;
    const why = `the succession is damaged: ${toAegisError(error).message}`;
    throw await damagedAt(path, new AegisError('KEYSTORE_DAMAGED', why));
  }
}

function parse(bytes: Uint8Array): OwnSuccession {
  const value = decode(bytes, { maxBytes: FILE_BYTES_MAX });
  const record = new RecordReader(value, 'own-succession', NAMES);
  const lost = record.texts('lost', OPEN_ROLES.length, { maxBytes: 16 });
  return {
    origin: {
      consensusKey: record.bytes('consensusKey', { length: BLS_KEY_BYTES }),
      possession: record.bytes('possession', { length: BLS_SIGNATURE_BYTES }),
      vrfKey: record.bytes('vrfKey', { length: 32 }),
    },
    entries: record.byteStrings('entries', OWN_ENTRIES_MAX, ENTRY_BYTES_MAX),
    lost: OPEN_ROLES.filter((role) => lost.includes(role)),
  };
}

/** The states of a node's keys, from the inception on. @throws {AegisError} as `follow`. */
export function statesOf(
  opened: OpenInception,
  { origin, entries }: Pick<OwnSuccession, 'origin' | 'entries'>,
): readonly [KeyState, ...KeyState[]] {
  const { nodeId, inception, bytes: inceptionBytes } = opened;
  const states: [KeyState, ...KeyState[]] = [
    originOf({ nodeId, inception, inceptionBytes, ...origin }),
  ];
  for (const entry of entries) states.push(followAll(states.at(-1)!, [openSuccession(entry)]));
  return states;
}
