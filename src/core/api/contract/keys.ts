/**
 * What the commands of a home without a daemon print: `init`, `keygen` and the topic `keys`. They
 * have no endpoint; their JSON is promised all the same.
 */
import * as v from 'valibot';
import { bytes, count, digest, nodeId, time, word } from './values.ts';

const keyRole = v.picklist(['identity', 'next', 'network', 'consensus', 'vrf', 'onion']);
const keyType = v.picklist([
  'identity',
  'network',
  'consensus',
  'vrf',
  'session',
  'reading',
  'onion',
]);
const hex = v.pipe(v.string(), v.hexadecimal());
/** Roles that a succession certifies; the VRF key goes with the consensus key (rule S5). */
const certifiedRole = v.picklist(['identity', 'network', 'consensus', 'onion']);
const expiresAt = v.object({
  identity: time,
  network: time,
  consensus: time,
  onion: time,
});
const fingerprint = v.pipe(v.string(), v.description('eight groups of four hexadecimal digits'));

const onionAddress = v.pipe(v.string(), v.endsWith('.onion'));

const publicPart = v.object({
  key: hex,
  proofOfPossession: v.optional(hex),
  address: v.optional(onionAddress),
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
  /** Eight groups of four hexadecimal digits of the public key's hash, to compare by eye. */
  fingerprint,
  /** When it should be replaced (S7); `null` for the successor. */
  expiresAt: v.nullable(time),
  /** Begun days until then; 0 and less: it is over. */
  daysLeft: v.nullable(v.pipe(v.number(), v.integer())),
});

/** `aegis keys list` */
export const keysListResult = v.object({
  schema: v.literal('aegis.keys.list/1'),
  nodeId,
  fingerprint,
  peerId: word,
  onionAddress,
  name: word,
  zone: word,
  region: word,
  createdAt: time,
  keysDir: word,
  keys: v.array(keyEntry),
  /** Of the last entry of the succession that this home knows; 0 is the inception. */
  number: count,
  /** How often the identity key has changed. */
  keyEpoch: count,
  /** The rotation that is prepared and not final. */
  pending: v.nullable(v.object({ number: count, replaced: v.array(certifiedRole) })),
  /** Keys in force that are not in this home (K3). */
  missing: v.array(keyRole),
  /** Network keys of before, which others still accept. */
  retired: v.array(v.object({ publicKey: hex, peerId: word, until: time })),
  /** Onion keys of before, whose service stays until then (O18). */
  retiredOnion: v.array(v.object({ publicKey: hex, address: onionAddress, until: time })),
  /** Made from a backup: it does not vote with the keys that it brought (K2). */
  restored: v.boolean(),
  /** Plain sentences: keys that expire within 30 days, are missing, or wait to be final. */
  warnings: v.array(v.string()),
});
export type KeysListResult = v.InferOutput<typeof keysListResult>;

/** `aegis keys show` */
export const keysShowResult = v.object({
  schema: v.literal('aegis.keys.show/1'),
  nodeId,
  key: v.object({
    ...keyEntry.entries,
    /** How often the identity key of this node has changed. */
    keyEpoch: count,
    /** The libp2p peer id, for the network key. */
    peerId: v.nullable(word),
    /** For the onion key. */
    onionAddress: v.nullable(onionAddress),
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

const rotation = {
  nodeId,
  /**
   * `planned`: a dry run. `prepared`: in the home, in force after the next start. `final`: decided
   * by the custodians. `discarded`: given up before anybody knew of it.
   */
  state: v.picklist(['planned', 'prepared', 'final', 'discarded']),
  /** Whether an earlier rotation was carried on. */
  continued: v.boolean(),
  /** Of the entry; `null` when only the session key changes. */
  number: v.nullable(count),
  digest: v.nullable(digest),
  keyEpoch: count,
  replaced: v.array(certifiedRole),
  /** Keys that stay and whose expiry is pushed out. */
  extended: v.array(certifiedRole),
  reason: v.picklist(['routine', 'compromised']),
  expiresAt,
  /** How long others accept the network key of before, and the service of the onion key stays. */
  graceMs: count,
  /** At which it became final. */
  height: v.nullable(count),
  /** The first height at which the new keys hold. */
  from: v.nullable(count),
  retiredNetworkUntil: v.nullable(time),
  /** The file of the successor that is committed from then on, when the identity changes. */
  newNext: v.nullable(word),
  session: v.nullable(v.object({ number: count, publicKey: hex, expiresAt: time })),
};

/** `aegis keys rotate` */
export const keysRotateResult = v.object({ schema: v.literal('aegis.keys.rotate/1'), ...rotation });
export type KeysRotateResult = v.InferOutput<typeof keysRotateResult>;

/** `aegis tor onion rotate` */
export const torOnionRotateResult = v.object({
  schema: v.literal('aegis.tor.onion.rotate/1'),
  ...rotation,
});
export type TorOnionRotateResult = v.InferOutput<typeof torOnionRotateResult>;

/** `aegis keys revoke` */
export const keysRevokeResult = v.object({ schema: v.literal('aegis.keys.revoke/1'), ...rotation });
export type KeysRevokeResult = v.InferOutput<typeof keysRevokeResult>;

/** `aegis keys history` */
export const keysSuccessionResult = v.object({
  schema: v.literal('aegis.keys.succession/1'),
  nodeId,
  name: word,
  /** `home`: as this home knows it. `chain`: as the daemon does. */
  source: v.picklist(['home', 'chain']),
  /** Two entries follow the same one; `null` where only the chain knows. */
  frozen: v.nullable(v.boolean()),
  /** The first one is the inception. All signatures hold, and each entry follows the one before. */
  entries: v.array(
    v.object({
      number: count,
      digest,
      keyEpoch: count,
      createdAt: time,
      replaced: v.array(certifiedRole),
      reason: v.nullable(v.picklist(['routine', 'compromised'])),
      /** At which it was decided; `null` where that is not known. */
      height: v.nullable(count),
      identityKey: hex,
      networkKey: hex,
      consensusKey: hex,
      vrfKey: hex,
      onionKey: hex,
      expiresAt,
      graceMs: count,
      /** Versions of an earlier identity key that count. */
      sealed: v.nullable(count),
    }),
  ),
});
export type KeysSuccessionResult = v.InferOutput<typeof keysSuccessionResult>;

/** `aegis keys import` */
export const keysImportResult = v.object({
  schema: v.literal('aegis.keys.import/1'),
  imported: v.array(keyRole),
  /** These are here and whole. */
  unchanged: v.array(keyRole),
});
export type KeysImportResult = v.InferOutput<typeof keysImportResult>;

/** `aegis keys backup` */
export const keysBackupResult = v.object({
  schema: v.literal('aegis.keys.backup/1'),
  nodeId,
  out: word,
  sizeBytes: bytes,
  files: v.array(word),
  /** Whether the identity's successor is in it. */
  successor: v.boolean(),
  /** `null` for a home that belongs to no cluster. */
  clusterId: v.nullable(word),
});
export type KeysBackupResult = v.InferOutput<typeof keysBackupResult>;

/** `aegis keys restore` */
export const keysRestoreResult = v.object({
  schema: v.literal('aegis.keys.restore/1'),
  home: word,
  nodeId,
  name: word,
  /** When the backup was made. */
  backupAt: time,
  number: count,
  keyEpoch: count,
  successor: v.boolean(),
  clusterId: v.nullable(word),
});
export type KeysRestoreResult = v.InferOutput<typeof keysRestoreResult>;
