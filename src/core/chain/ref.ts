/**
 * What stands in the leaves of the state: refs and accounts, under keyed hashes of their names, so
 * that who holds a proof of one leaf learns no other name.
 */
import type { CID } from 'multiformats/cid';
import { hmacSha256 } from '../crypto/hash.ts';
import { decode, encode } from '../model/cbor.ts';
import { bytesOfText } from '../model/record.ts';

export interface RefHead {
  readonly version: CID;
  readonly generation: number;
  readonly deleted?: boolean;
}

/** Where a path points. */
export interface RefState {
  /** At most 32, in the order of their bytes; more than one is a conflict not merged yet. */
  readonly heads: readonly RefHead[];
  /** The greatest that the ref has ever had. */
  readonly generation: number;
}

/** What the chain knows of an author. */
export interface Account {
  /** Of its last intent that was decided; 0 before the first. */
  readonly sequence: number;
}

export const HEADS_MAX = 32;
const STATE_VALUE_BYTES_MAX = 8192;

/**
 * Keys of the state (hex): HMAC-SHA-256 keyed by the namespace, which is the cluster id, and after
 * a recovery that of the oldest cluster (R2).
 */
export interface StateKeys {
  ref(path: string): string;
  account(nodeId: string): string;
}

export function stateKeys(namespace: string): StateKeys {
  const hmac = hmacSha256(bytesOfText(namespace));
  return {
    ref: (path) => hmac(`aegis/ref/1\0${path}`),
    account: (nodeId) => hmac(`aegis/account/1\0${nodeId}`),
  };
}

/** The key of a path in the state (hex). */
export const refKey = (namespace: string, path: string): string => stateKeys(namespace).ref(path);

/** The key of an author in the state (hex). */
export const accountKey = (namespace: string, nodeId: string): string =>
  stateKeys(namespace).account(nodeId);

export function encodeRef({ heads, generation }: RefState): Uint8Array {
  const list = heads.map((head) =>
    head.deleted === true ? [head.version, head.generation, true] : [head.version, head.generation],
  );
  return encode({ v: 1, type: 'ref', heads: list, generation });
}

/** Of bytes that stand in the state: this node has encoded them, or checked their hash. */
export function decodeRef(bytes: Uint8Array): RefState {
  const { heads, generation } = decode(bytes, { maxBytes: STATE_VALUE_BYTES_MAX }) as {
    heads: readonly (readonly [CID, number, true?])[];
    generation: number;
  };
  return {
    heads: heads.map(([version, of, deleted]) =>
      deleted === true ? { version, generation: of, deleted } : { version, generation: of },
    ),
    generation,
  };
}

export const encodeAccount = ({ sequence }: Account): Uint8Array =>
  encode({ v: 1, type: 'account', sequence });

/** Of bytes that stand in the state. */
export const decodeAccount = (bytes: Uint8Array): Account => {
  const { sequence } = decode(bytes, { maxBytes: STATE_VALUE_BYTES_MAX }) as Account;
  return { sequence };
};
