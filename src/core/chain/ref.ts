/**
 * What stands in the leaves of the state under the key of names (docs/proofs.md, "The state"):
 * refs, marks of directories, accounts and anchors. Names in them are encrypted, and keys are keyed
 * hashes, so that who holds a proof of one leaf learns no other name.
 */
import type { CID } from 'multiformats/cid';
import { decode, encode } from '../model/cbor.ts';
import type { Names } from '../model/names.ts';
import { LIMITS } from './limits.ts';
import type { Usage } from './quotas.ts';

export interface RefHead {
  readonly version: CID;
  readonly generation: number;
  readonly deleted?: boolean;
}

/** Where a path points. */
export interface RefState {
  /** The path, encrypted; undefined once it is erased (N4). */
  readonly name?: Uint8Array | undefined;
  /** At most 32, in the order of their bytes; more than one is a conflict not merged yet. */
  readonly heads: readonly RefHead[];
  /** The greatest that the ref has ever had. */
  readonly generation: number;
}

/** What the chain knows of an author. */
export interface Account extends Usage {
  /** Of its last intent that was decided; 0 before the first. */
  readonly sequence: number;
}

/** R4: the last one under its label. */
export interface AnchorState {
  readonly label: string;
  /** 32 bytes. */
  readonly digest: Uint8Array;
  readonly previous?: Uint8Array | undefined;
  /** At which it was made. */
  readonly height: number;
}

export const HEADS_MAX = 32;
const STATE_VALUE_BYTES_MAX = 8192;
const TAG_DIGITS = 16;

/** The key of an author in the state (hex). */
export const accountKey = (names: Names, nodeId: string): string =>
  names.hmac(`aegis/account/1\0${nodeId}`);

/** With what the keys of all anchors of a node begin (hex). */
export const anchorTag = (names: Names, nodeId: string): string =>
  names.hmac(`aegis/anchors/1\0${nodeId}`).slice(0, TAG_DIGITS);

/** Labels hold no control characters. */
export const anchorKey = (names: Names, nodeId: string, label: string): string =>
  anchorTag(names, nodeId) + names.hmac(`aegis/anchor/1\0${nodeId}\0${label}`).slice(TAG_DIGITS);

export function encodeRef({ name, heads, generation }: RefState): Uint8Array {
  const list = heads.map((head) =>
    head.deleted === true ? [head.version, head.generation, true] : [head.version, head.generation],
  );
  const named = name === undefined ? {} : { name };
  return encode({ v: 2, type: 'ref', ...named, generation, heads: list });
}

/** Whether a leaf of the state is the value of a path. */
export const isRef = (leaf: Uint8Array): boolean =>
  (decode(leaf, { maxBytes: LIMITS.leafBytes }) as { readonly type?: unknown }).type === 'ref';

/** Of bytes that stand in the state: this node has encoded them, or checked their hash. */
export function decodeRef(bytes: Uint8Array): RefState {
  const { name, heads, generation } = decode(bytes, { maxBytes: STATE_VALUE_BYTES_MAX }) as {
    name?: Uint8Array;
    heads: readonly (readonly [CID, number, true?])[];
    generation: number;
  };
  return {
    ...(name === undefined ? {} : { name }),
    heads: heads.map(([version, of, deleted]) =>
      deleted === true ? { version, generation: of, deleted } : { version, generation: of },
    ),
    generation,
  };
}

/** @param name encrypted. */
export const encodeMark = (name: Uint8Array): Uint8Array => encode({ v: 1, type: 'mark', name });

/** Usage stands in it once there is any. */
export const encodeAccount = (account: Account): Uint8Array => {
  const { sequence, hour, changes, bytes, paths } = account;
  const used = changes + bytes === 0 ? {} : { hour, changes, bytes };
  const made = paths === 0 ? {} : { paths };
  return encode({ v: 2, type: 'account', sequence, ...used, ...made });
};

/** Of bytes that stand in the state. */
export const decodeAccount = (bytes: Uint8Array): Account => {
  const found = decode(bytes, { maxBytes: STATE_VALUE_BYTES_MAX }) as Partial<Account>;
  const { sequence = 0, hour = 0, changes = 0, bytes: used = 0, paths = 0 } = found;
  return { sequence, hour, changes, bytes: used, paths };
};

export const encodeAnchor = ({ label, digest, previous, height }: AnchorState): Uint8Array =>
  encode({
    v: 1,
    type: 'anchor',
    label,
    digest,
    ...(previous === undefined ? {} : { previous }),
    height,
  });

/** Of bytes that stand in the state. */
export const decodeAnchor = (bytes: Uint8Array): AnchorState => {
  const { label, digest, previous, height } = decode(bytes, {
    maxBytes: STATE_VALUE_BYTES_MAX,
  }) as AnchorState;
  return { label, digest, ...(previous === undefined ? {} : { previous }), height };
};

/** The path that a leaf stands for; undefined: it has none, or is none of a path. */
export function decodeName(names: Names, leaf: Uint8Array | undefined): string | undefined {
  if (leaf === undefined) return undefined;
  try {
    const { name } = decode(leaf, { maxBytes: STATE_VALUE_BYTES_MAX }) as { name?: unknown };
    return name instanceof Uint8Array ? names.open(name) : undefined;
  } catch {
    return undefined;
  }
}
