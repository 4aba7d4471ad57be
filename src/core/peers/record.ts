/** What the peer book keeps on disk: the operator's own additions and removals, nothing learned. */
import { parseOnionAddress } from '../crypto/onion.ts';
import { AegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';

/** Table of the entries; the key is a node id, or an address whose node is not known yet. */
export const PEERS_TABLE = 'peers';
const RECORD_MAX_BYTES = 8192;

/** ASCII: the system would read other points as the one before `onion`, and ask a name server. */
const ADDRESS = /^\/(?:ip4|ip6|dns|dns4|dns6)\/[!-.0-~]{1,253}\/tcp\/\d{1,5}(?:\/p2p\/\w{1,128})?$/;
const ONION = /^\/onion3\/([a-z2-7]{56}):[1-9]\d{0,4}(?:\/p2p\/\w{1,128})?$/;

export interface PeerRecord {
  /** Addresses that the operator has given. */
  readonly addresses: readonly string[];
  /** The operator wants this peer not to be dialled, whatever the genesis file says. */
  readonly removed: boolean;
}

/** Tor folds the case of a service: it has one text here. Everything else stays as it is. */
export const folded = (text: string): string =>
  text.replace(/^\/onion3\/[a-z2-7]{56}(?=:)/i, (service) => service.toLowerCase());

/** Whether the text has the form of an address that this node could dial, by some route. */
export function isAddress(text: string): boolean {
  if (text.length > 512) return false;
  const [, onion] = ONION.exec(text) ?? [];
  if (onion === undefined) return ADDRESS.test(text) && !/\.onion\.*\/tcp\//i.test(text);
  try {
    // O12: an address whose checksum is wrong is refused wherever it is read.
    parseOnionAddress(onion);
    return true;
  } catch {
    return false;
  }
}

export const encodeRecord = (record: PeerRecord): Uint8Array =>
  encode({ v: 1, type: 'peer', addresses: [...record.addresses], removed: record.removed });

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeRecord(bytes: Uint8Array): PeerRecord {
  const value = decode(bytes, { maxBytes: RECORD_MAX_BYTES });
  if (value !== null && typeof value === 'object') {
    const { v, type, addresses, removed } = value as Record<string, unknown>;
    const proper = v === 1 && type === 'peer' && typeof removed === 'boolean';
    if (proper && Array.isArray(addresses)) {
      const texts = addresses.filter((one) => typeof one === 'string' && isAddress(one));
      if (texts.length === addresses.length) return { addresses: texts, removed };
    }
  }
  throw new AegisError('BAD_ENCODING', 'an entry of the peer book is malformed');
}
