/**
 * What a keystore directory holds, without a passphrase: which file has which key in force, what
 * is prepared, retired or restored. A rotation that was cut between two steps leaves a key in force
 * among the pending files; it is found there. Writes nothing.
 */
import { join } from 'node:path';
import { sha256 } from '../crypto/hash.ts';
import { AegisError, hasCode, toAegisError } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import type { ConsensusKeys } from '../model/bundle.ts';
import { INCEPTION_BYTES_MAX, type OpenInception, openInception } from '../model/identity.ts';
import { isOlder } from '../model/record.ts';
import {
  follow,
  type KeyState,
  openSuccession,
  type SignedSuccession,
  SUCCESSION_BYTES_MAX,
} from '../model/succession.ts';
import type { Verified } from '../units.ts';
import { damagedAt, readKeyFile, readSmallFile } from './disk.ts';
import type { KeyFile } from './key-file.ts';
import {
  entryPath,
  inceptionPath,
  isHandedInMark,
  KEY_ROLES,
  type KeyRole,
  keyInForce,
  keyPath,
  type OpenRole,
  pendingDir,
  type RetiringRole,
  readRetiredName,
  restoredPath,
  retiredDir,
  TYPE_OF_ROLE,
  viewPath,
} from './layout.ts';
import { fromHex, hex } from './material.ts';
import { type OwnSuccession, readOwnSuccession, statesOf } from './own-succession.ts';
import { readRestored } from './restored.ts';
import { namesIn } from './steps.ts';

export interface KeyEntry {
  readonly role: KeyRole;
  readonly path: string;
  readonly file: KeyFile;
  /** Permission bits of the file. */
  readonly mode: number;
}

/** A rotation that is prepared and not final yet. */
export interface PendingRotation {
  readonly entry: Verified<SignedSuccession>;
  /** The keys once it is final. */
  readonly after: KeyState;
  /** Its new keys, and the next successor when that is here. */
  readonly keys: readonly KeyEntry[];
  /** Others may know of it: another entry in its place would be duplicity (S8). */
  readonly isHandedIn: boolean;
  /** J2: names of the marks, one for each cluster in which it was handed in. */
  readonly handedIn: readonly string[];
}

/** A network or onion key that peers may still know the node by. */
export interface RetiredEntry extends KeyEntry {
  readonly role: RetiringRole;
  /** Milliseconds since the Unix epoch. */
  readonly until: number;
}

/** All that can be known without the passphrase. */
export interface Inspection extends OpenInception {
  /** Keys in force, as far as they are here, and the successor if it is. */
  readonly keys: readonly KeyEntry[];
  readonly origin: ConsensusKeys;
  /** The states of the own keys as this home knows them; the last one is in force. */
  readonly states: readonly [KeyState, ...KeyState[]];
  readonly current: KeyState;
  /** Signed entries, from the first on. */
  readonly succession: readonly Uint8Array[];
  /** Keys in force that are not here, and are not meant to be (K3). */
  readonly lost: readonly OpenRole[];
  readonly pending: PendingRotation | undefined;
  readonly retired: readonly RetiredEntry[];
  /** K2: the consensus keys (hexadecimal) that a backup brought. */
  readonly restored: readonly string[] | undefined;
}

export interface View {
  /** Undefined for the one that needs no name. */
  readonly cluster: string | undefined;
}

export interface ReadOptions {
  /** Roles whose secrets a signer holds: they need no file. */
  readonly behindSigner?: readonly OpenRole[];
  /** Key files from elsewhere, which say what those that are missing here were. */
  readonly spare?: readonly KeyFile[];
  /** J2: as one of its clusters knows them. @default as all of them do */
  readonly view?: View | undefined;
  /** Takes what is wrong with single key files, which is thrown otherwise. */
  readonly faults?: Map<KeyRole, AegisError>;
}

/**
 * @throws {AegisError} `NO_HOME`, `KEYSTORE_DAMAGED`, `NOT_FOUND` for a file that should be here,
 * `BAD_CONFIG` for a home of an older aegis.
 */
export async function readHome(dir: string, options: ReadOptions = {}): Promise<Inspection> {
  for (let attempt = 1; ; attempt += 1) {
    const before = await stampOf(dir);
    try {
      return await readOnce(dir, options);
    } catch (error) {
      // A daemon may be settling its keys in these very milliseconds.
      const isStill = (await stampOf(dir)) === before;
      if (isStill || attempt === ATTEMPTS) throw error;
    }
  }
}

/** More than the steps of a settlement. */
const ATTEMPTS = 100;

/** Changes with every name that comes or goes. */
async function stampOf(dir: string): Promise<string> {
  const dirs = [dir, pendingDir(dir), retiredDir(dir)];
  const stats = await Promise.all(dirs.map(statIfPresent));
  return stats.map((found) => `${found?.ino} ${found?.ctimeMs} ${found?.mtimeMs}`).join();
}

async function readOnce(dir: string, options: ReadOptions): Promise<Inspection> {
  const { behindSigner = [], faults } = options;
  const opened = await readInception(dir);
  const own = await readOwn(dir, options.view);
  const origin = own?.origin ?? (await originFromFiles(dir, options));
  const entries = own?.entries ?? [];
  const states = await statesIn(dir, opened, { origin, entries });
  const current = states.at(-1)!;
  const lost = own?.lost ?? [];
  const pending = await readPending(dir, current);
  const absent = new Set<OpenRole>([...lost, ...behindSigner]);
  const keys: KeyEntry[] = [];
  for (const role of KEY_ROLES) {
    try {
      const isNext = role === 'next';
      const entry = isNext ? await nextOf(dir, states) : await find(dir, role, states, absent);
      if (entry !== undefined) keys.push(entry);
    } catch (error) {
      if (faults === undefined) throw error;
      faults.set(role, toAegisError(error));
    }
  }
  return {
    ...opened,
    keys,
    origin,
    states,
    current,
    succession: entries,
    lost,
    pending,
    retired: await readRetired(dir),
    restored: await readRestored(dir),
  };
}

/** J2: in one cluster more may be final than in all of them. */
async function readOwn(dir: string, view: View | undefined): Promise<OwnSuccession | undefined> {
  const home = await readOwnSuccession(dir);
  if (view === undefined) return home;
  const own = await readOwnSuccession(dir, viewPath(dir, view.cluster));
  return own !== undefined && own.entries.length > (home?.entries.length ?? 0) ? own : home;
}

async function readInception(dir: string): Promise<OpenInception> {
  const path = inceptionPath(dir);
  let bytes: Uint8Array;
  try {
    ({ bytes } = await readSmallFile(path, INCEPTION_BYTES_MAX + 128));
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
    if ((await statIfPresent(keyPath(dir, 'identity'))) === undefined) {
      throw new AegisError('NO_HOME', `there is no keystore in ${dir}`);
    }
    throw await damagedAt(path, new AegisError('KEYSTORE_DAMAGED', 'the inception entry is gone'));
  }
  try {
    return openInception(bytes);
  } catch (error) {
    const cause = toAegisError(error);
    if (isOlder(cause)) throw older(dir, 'It has no onion key.');
    const why = `the inception entry is damaged: ${cause.message}`;
    throw await damagedAt(path, new AegisError('KEYSTORE_DAMAGED', why));
  }
}

/** Before the first rotation the files themselves say with which keys of consensus it began. */
async function originFromFiles(dir: string, { spare = [] }: ReadOptions): Promise<ConsensusKeys> {
  const roles = ['consensus', 'vrf'] as const;
  const paths = roles.map((role) => keyPath(dir, role));
  const stats = await Promise.all(paths.map(statIfPresent));
  if (stats.every((found) => found === undefined) && spare.length === 0) {
    throw older(dir, 'It has no consensus key and no VRF key.');
  }
  const read = async (role: 'consensus' | 'vrf'): Promise<KeyFile> => {
    const other = spare.find(({ type }) => type === role);
    if (other !== undefined) return other;
    const file = await readKeyFile(keyPath(dir, role));
    if (file.type !== role) throw foreign(dir, role);
    return file;
  };
  const [consensus, vrf] = [await read('consensus'), await read('vrf')];
  return {
    consensusKey: fromHex(consensus.public.key),
    possession: fromHex(consensus.public.proofOfPossession ?? ''),
    vrfKey: fromHex(vrf.public.key),
  };
}

const older = (dir: string, why: string): AegisError =>
  new AegisError('BAD_CONFIG', `the keys in ${dir} are those of an older aegis`, {
    hint: `${why} Make a new home: aegis init --home DIR`,
  });

async function statesIn(
  dir: string,
  opened: OpenInception,
  own: Pick<OwnSuccession, 'origin' | 'entries'>,
): Promise<Inspection['states']> {
  try {
    return statesOf(opened, own);
  } catch (error) {
    const why = `the succession is not that of the inception: ${toAegisError(error).message}`;
    throw await damagedAt(join(dir, 'succession.cbor'), new AegisError('KEYSTORE_DAMAGED', why));
  }
}

/** The file with the key in force: in its place, or among the pending ones after a cut. */
async function find(
  dir: string,
  role: OpenRole,
  states: Inspection['states'],
  absent: ReadonlySet<OpenRole>,
): Promise<KeyEntry | undefined> {
  const wanted = keyInForce(states.at(-1)!, role);
  const path = keyPath(dir, role);
  const inPlace = await readIfPresent(path);
  if (inPlace?.type === TYPE_OF_ROLE[role] && inPlace.public.key === wanted) {
    return entryOf(role, path, inPlace);
  }
  const aside = keyPath(pendingDir(dir), role);
  const pending = await readIfPresent(aside);
  if (pending !== undefined && pending.public.key === wanted) return entryOf(role, aside, pending);
  if (inPlace === undefined) {
    if (absent.has(role)) return undefined;
    const flag = role === 'vrf' ? 'consensus' : role;
    throw new AegisError('NOT_FOUND', `there is no file ${path}`, {
      hint: `Put it back: aegis keys import FILE. Or replace it: aegis keys revoke --${flag}`,
    });
  }
  // The key of an earlier entry: a cut of `settle`, or a home that the chain has left behind.
  const isEarlier = states.some((state) => keyInForce(state, role) === inPlace.public.key);
  if (isEarlier && absent.has(role)) return undefined;
  throw foreign(dir, role);
}

/** Files of different keystores, put together by hand, would sign for a node that is none. */
const foreign = (dir: string, role: KeyRole): AegisError =>
  new AegisError(
    'KEYSTORE_DAMAGED',
    `the ${role} key in ${keyPath(dir, role)} is not that of the inception entry`,
    { hint: 'Put the files of one backup back together; do not mix them.' },
  );

/** The successor; it may be elsewhere. */
async function nextOf(dir: string, states: Inspection['states']): Promise<KeyEntry | undefined> {
  const commits = (state: KeyState, file: KeyFile): boolean =>
    hex(sha256(fromHex(file.public.key))) === hex(state.keys.nextIdentityDigest);
  const current = states.at(-1)!;
  const path = keyPath(dir, 'next');
  const inPlace = await readIfPresent(path);
  if (inPlace?.type === 'identity' && commits(current, inPlace)) {
    return entryOf('next', path, inPlace);
  }
  const aside = keyPath(pendingDir(dir), 'next');
  const pending = await readIfPresent(aside);
  if (pending !== undefined && commits(current, pending)) return entryOf('next', aside, pending);
  if (inPlace === undefined) return undefined;
  if (states.some((state) => commits(state, inPlace))) return undefined;
  throw foreign(dir, 'next');
}

/** @throws {AegisError} `KEYSTORE_DAMAGED`. */
async function readPending(dir: string, current: KeyState): Promise<PendingRotation | undefined> {
  const path = entryPath(dir);
  let bytes: Uint8Array;
  try {
    ({ bytes } = await readSmallFile(path, SUCCESSION_BYTES_MAX + 128));
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
  try {
    const entry = openSuccession(bytes);
    // Final already, or outrun by another one: `settle` has been cut and clears it away.
    if (entry.succession.number <= current.number) return undefined;
    const after = follow(current, entry);
    const keys: KeyEntry[] = [];
    for (const role of KEY_ROLES) {
      const file = await readIfPresent(keyPath(pendingDir(dir), role));
      if (file !== undefined) keys.push(entryOf(role, keyPath(pendingDir(dir), role), file));
    }
    // A backup does not tell what has become of the rotation since.
    const isRestored = (await statIfPresent(restoredPath(dir))) !== undefined;
    const handedIn = (await namesIn(pendingDir(dir))).filter(isHandedInMark);
    return { entry, after, keys, isHandedIn: isRestored || handedIn.length > 0, handedIn };
  } catch (error) {
    const why = `the pending rotation is damaged: ${toAegisError(error).message}`;
    throw await damagedAt(path, new AegisError('KEYSTORE_DAMAGED', why));
  }
}

async function readRetired(dir: string): Promise<RetiredEntry[]> {
  const entries: RetiredEntry[] = [];
  for (const name of await namesIn(retiredDir(dir))) {
    const known = readRetiredName(name);
    if (known === undefined) continue;
    const path = join(retiredDir(dir), name);
    entries.push({ ...entryOf(known.role, path, await readKeyFile(path)), ...known });
  }
  return entries.toSorted((a, b) => b.until - a.until);
}

type ReadFile = KeyFile & { readonly mode: number };

function entryOf(role: KeyRole, path: string, { mode, ...file }: ReadFile): KeyEntry {
  return { role, path, file, mode };
}

async function readIfPresent(path: string): Promise<ReadFile | undefined> {
  return (await statIfPresent(path)) === undefined ? undefined : await readKeyFile(path);
}
