/** Where the files of a keystore lie, and which public key of a node each holds. No I/O. */
import { join } from 'node:path';
import type { CertifiedRole, KeyState } from '../model/succession.ts';
import { hex, type KeyType } from './material.ts';

/** The keys of a home, by the role they play there. */
export const KEY_ROLES = ['identity', 'next', 'network', 'consensus', 'vrf', 'onion'] as const;
export type KeyRole = (typeof KEY_ROLES)[number];

/** The keys that a running node uses. */
export type OpenRole = Exclude<KeyRole, 'next'>;
export const OPEN_ROLES = ['identity', 'network', 'consensus', 'vrf', 'onion'] as const;

const FILES: Readonly<Record<KeyRole, string>> = {
  identity: 'identity.key.json',
  next: 'identity-next.key.json',
  network: 'network.key.json',
  consensus: 'consensus.key.json',
  vrf: 'vrf.key.json',
  onion: 'onion.key.json',
};

export const TYPE_OF_ROLE: Readonly<Record<KeyRole, KeyType>> = {
  identity: 'identity',
  next: 'identity',
  network: 'network',
  consensus: 'consensus',
  vrf: 'vrf',
  onion: 'onion',
};

/** Keys that stay for a while after they were replaced: peers still accept, or look for, them. */
export const RETIRING_ROLES = ['network', 'onion'] as const satisfies OpenRole[];
export type RetiringRole = (typeof RETIRING_ROLES)[number];

/** What a certified role means in files: votes and seeds change together (S5). */
export const rolesOf = (role: CertifiedRole): readonly OpenRole[] =>
  role === 'consensus' ? ['consensus', 'vrf'] : [role];

export const keyPath = (dir: string, role: KeyRole): string => join(dir, FILES[role]);
export const inceptionPath = (dir: string): string => join(dir, 'inception.cbor');
/** The own succession, and the public keys of consensus from before its first entry. */
export const successionPath = (dir: string): string => join(dir, 'succession.cbor');
/** A rotation that is prepared and not final: the entry and the new keys. */
export const pendingDir = (dir: string): string => join(dir, 'pending');
export const entryPath = (dir: string): string => join(pendingDir(dir), 'entry.cbor');
const HANDED_IN = 'handed-in';
/** Others may know the entry: from then on it must not be given up for another one (S8). */
export const handedInPath = (dir: string, cluster?: string): string =>
  join(pendingDir(dir), cluster === undefined ? HANDED_IN : `${HANDED_IN}-${cluster}`);
/** Whatever the cluster. */
export const isHandedInMark = (name: string): boolean =>
  name === HANDED_IN || name.startsWith(`${HANDED_IN}-`);
/** Network keys (H2) and onion keys (O18) within their grace. */
export const retiredDir = (dir: string): string => join(dir, 'retired');
export const sessionDir = (dir: string, cluster?: string): string =>
  join(cluster === undefined ? dir : clusterDir(dir, cluster), 'session');
/** W45: keys with which sealed contents are read. */
export const readingDir = (dir: string): string => join(dir, 'reading');
/** What is known of the keys in one cluster of several (J2). */
export const clustersIn = (dir: string): string => join(dir, 'clusters');
const clusterDir = (dir: string, cluster: string): string => join(clustersIn(dir), cluster);
/** J3: the own succession as far as it is final in one cluster, while others may be behind. */
export const viewPath = (dir: string, cluster: string | undefined): string =>
  join(clusterDir(dir, cluster ?? 'default'), 'succession.cbor');
/** K2: lists the consensus keys that a backup brought. */
export const restoredPath = (dir: string): string => join(dir, 'restored.json');

/** The name says until when (milliseconds since the Unix epoch), so that nobody must be asked. */
export const retiredPath = (dir: string, role: RetiringRole, untilMs: number): string =>
  join(retiredDir(dir), `${role}-${untilMs}.key.json`);

/** What the name of a file there says; undefined for any other name. */
export function readRetiredName(
  name: string,
): { readonly role: RetiringRole; readonly until: number } | undefined {
  const [, of, until] = /^([a-z]+)-(\d{1,15})\.key\.json$/.exec(name) ?? [];
  const role = RETIRING_ROLES.find((one) => one === of);
  return role === undefined ? undefined : { role, until: Number(until) };
}

/** The public key (hexadecimal) in force in a role. */
export const keyInForce = ({ keys }: Pick<KeyState, 'keys'>, role: OpenRole): string =>
  hex(keys[NAME_OF_ROLE[role]]);

const NAME_OF_ROLE = {
  identity: 'identityKey',
  network: 'networkKey',
  consensus: 'consensusKey',
  vrf: 'vrfKey',
  onion: 'onionKey',
} as const;
