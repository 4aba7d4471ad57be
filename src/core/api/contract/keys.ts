/**
 * What the commands of a home without a daemon print: `init`, `keygen` and the topic `keys`. They
 * have no endpoint; their JSON is promised all the same.
 */
import * as v from 'valibot';
import { count, nodeId, time, word } from './values.ts';

const keyRole = v.picklist(['identity', 'next', 'network', 'consensus', 'vrf', 'onion']);
const keyType = v.picklist(['identity', 'network', 'consensus', 'vrf', 'session', 'onion']);
const hex = v.pipe(v.string(), v.hexadecimal());
const fingerprint = v.pipe(v.string(), v.description('eight groups of four hexadecimal digits'));

const publicPart = v.object({
  key: hex,
  proofOfPossession: v.optional(hex),
  address: v.optional(v.pipe(v.string(), v.endsWith('.onion'))),
});

/** `aegis init` */
export const initResult = v.object({
  schema: v.literal('aegis.init/1'),
  home: word,
  keysDir: word,
  nodeId,
  fingerprint,
  peerId: word,
  name: word,
  zone: word,
  region: word,
});
export type InitResult = v.InferOutput<typeof initResult>;

/** `aegis keygen` */
export const keygenResult = v.object({
  schema: v.literal('aegis.keygen/1'),
  type: keyType,
  public: publicPart,
  createdAt: time,
  /** `null` when the key file went to standard output; it is then in `keyFile`. */
  out: v.nullable(word),
  publicOut: v.nullable(word),
  /** The encrypted key file; with `--out -` only. */
  keyFile: v.optional(v.looseObject({ schema: v.literal('aegis.key/1') })),
});
export type KeygenResult = v.InferOutput<typeof keygenResult>;

const keyEntry = v.object({
  role: keyRole,
  type: keyType,
  publicKey: hex,
  createdAt: time,
  path: word,
  /** Permission bits in octal. */
  mode: v.pipe(v.string(), v.regex(/^[0-7]{3}$/)),
  /** Whether only its owner can read the file. */
  private: v.boolean(),
});

/** `aegis keys list` */
export const keysListResult = v.object({
  schema: v.literal('aegis.keys.list/1'),
  nodeId,
  fingerprint,
  peerId: word,
  name: word,
  zone: word,
  region: word,
  createdAt: time,
  keysDir: word,
  keys: v.array(keyEntry),
});
export type KeysListResult = v.InferOutput<typeof keysListResult>;

/** `aegis keys show` */
export const keysShowResult = v.object({
  schema: v.literal('aegis.keys.show/1'),
  nodeId,
  key: v.object({
    ...keyEntry.entries,
    /** The libp2p peer id, for the network key. */
    peerId: v.nullable(word),
    /** That the secret is in the hands of whoever made the key, for the consensus key. */
    proofOfPossession: v.nullable(hex),
    kdf: v.object({
      name: v.literal('argon2id'),
      memoryKib: count,
      passes: count,
      lanes: count,
    }),
    cipher: v.literal('xchacha20-poly1305'),
    /** The file before the last change, when there is one. */
    backup: v.nullable(word),
  }),
});
export type KeysShowResult = v.InferOutput<typeof keysShowResult>;

/** `aegis keys export` */
export const keysExportResult = v.object({
  schema: v.literal('aegis.keys.export/1'),
  kind: v.picklist(['public', 'encrypted', 'plain']),
  roles: v.array(keyRole),
  /** `null` when the document went to standard output; it is then in `document`. */
  out: v.nullable(word),
  /** Whether the successor's file was removed from this home. */
  removed: v.boolean(),
  document: v.optional(v.looseObject({ schema: v.literal('aegis.keystore/1') })),
});
export type KeysExportResult = v.InferOutput<typeof keysExportResult>;

/** `aegis keys passwd` */
export const keysPasswdResult = v.object({
  schema: v.literal('aegis.keys.passwd/1'),
  changed: v.array(keyRole),
  unchanged: v.array(keyRole),
  backups: v.array(word),
});
export type KeysPasswdResult = v.InferOutput<typeof keysPasswdResult>;

/** `aegis keys serve`, the line with which it begins. */
export const keysServeResult = v.object({
  schema: v.literal('aegis.keys.serve/1'),
  nodeId,
  name: word,
  socket: word,
  pid: count,
  /** Public keys. */
  keys: v.object({ identity: hex, consensus: hex, vrf: hex }),
});
export type KeysServeResult = v.InferOutput<typeof keysServeResult>;
