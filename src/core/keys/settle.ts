/**
 * Brings a home to the keys that are final (A4): promotes prepared files, keeps the network and
 * onion keys of before for their grace, erases what is retired. It compares what is here with what
 * should be, so that after a cut between any two steps the same call finishes the work. It opens no
 * secret.
 */
import { dirname, join } from 'node:path';
import { sha256 } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import { type KeyState, openSuccession, SUCCESSION_BYTES_MAX } from '../model/succession.ts';
import { readKeyFile, readSmallFile } from './disk.ts';
import { type Inspection, readHome, type View } from './home.ts';
import {
  entryPath,
  KEY_ROLES,
  type KeyRole,
  keyInForce,
  keyPath,
  OPEN_ROLES,
  type OpenRole,
  pendingDir,
  RETIRING_ROLES,
  type RetiringRole,
  readRetiredName,
  restoredPath,
  retiredDir,
  retiredPath,
  successionPath,
  viewPath,
} from './layout.ts';
import { fromHex, hex } from './material.ts';
import {
  type OwnSuccession,
  readOwnSuccession,
  renderOwnSuccession,
  statesOf,
} from './own-succession.ts';
import { type Disk, erase, eraseDirectory, namesIn, realDisk, sweepErased } from './steps.ts';

export interface SettleOptions {
  readonly dir: string;
  /** The keys of this node that are final. */
  readonly state: KeyState;
  /** All own signed entries that are final, from the first on. */
  readonly succession: readonly Uint8Array[];
  /** Until when the keys of before still count (H2, O18), in milliseconds since the Unix epoch. */
  readonly graceUntil?: GraceTimes;
  readonly now: number;
  /** Roles whose secrets a signer holds: their files may be missing before, too. */
  readonly behindSigner?: readonly OpenRole[];
  /** J2: whose chain says so, and the other clusters of the home. @default there are no others */
  readonly sharing?: View & { readonly others: readonly (string | undefined)[] };
  /** Only tests choose another. */
  readonly disk?: Disk;
}

export type GraceTimes = Readonly<Partial<Record<RetiringRole, number | undefined>>>;

export interface Settled {
  /** Keys that came into force here. */
  readonly promoted: readonly KeyRole[];
  /** Keys that were retired and erased, or, network and onion keys, laid aside for their grace. */
  readonly retired: readonly KeyRole[];
  /** What was prepared here has been outrun by another entry and is erased. */
  readonly isSuperseded: boolean;
  /** Keys in force that this home does not have; those behind a signer are among them. */
  readonly lost: readonly OpenRole[];
  /** J3: what is retired is kept here for other clusters, in which it is not final yet. */
  readonly isKept: boolean;
}

/** @throws {AegisError} `BAD_DATA` when state and succession do not belong together, or here. */
export async function settleHome(options: SettleOptions): Promise<Settled> {
  const { dir, disk = realDisk, behindSigner = [], sharing } = options;
  const known = await readHome(dir, { behindSigner, view: sharing });
  const final = targetOf(known, options);
  const others = sharing?.others ?? [];
  if (others.length > 0) {
    // J3: first what is final here, durably; the last cluster to say so changes the files.
    await new Settling(options, final, disk).record(known, viewPath(dir, sharing!.cluster));
  }
  const home = sharing === undefined ? known : await readHome(dir, { behindSigner });
  const target = await commonTarget(home, final, { dir, others });
  for (const one of [dir, pendingDir(dir), retiredDir(dir)]) await sweepErased(one, disk);
  const settling = new Settling(options, target, disk);
  const lost = await settling.record(home);
  for (const role of KEY_ROLES) await settling.converge(role);
  const isSuperseded = await settling.clearPending();
  await settling.clearRetired();
  await settling.clearMarker(home.restored);
  const isKept = target.state.number < final.state.number;
  return { promoted: settling.promoted, retired: settling.retired, isSuperseded, lost, isKept };
}

interface Target {
  readonly entries: readonly Uint8Array[];
  readonly states: Inspection['states'];
  readonly state: KeyState;
}

/** A chain that still catches up knows less than the home: then the home's own knowledge counts. */
function targetOf(home: Inspection, { state, succession }: SettleOptions): Target {
  if (state.number < home.current.number) {
    return { entries: home.succession, states: home.states, state: home.current };
  }
  const states = statesOf(home, { origin: home.origin, entries: succession });
  const known = states[home.current.number];
  const last = states.at(-1)!;
  if (last.digest !== state.digest || known?.digest !== home.current.digest) {
    throw new AegisError('BAD_DATA', 'the final succession is not that of this home', {
      hint: 'Two homes of one node were rotated apart. See: aegis keys history',
    });
  }
  return { entries: succession, states, state: last };
}

/** J3: the keys that are final in every cluster of the home. */
async function commonTarget(
  home: Inspection,
  final: Target,
  { dir, others }: { readonly dir: string; readonly others: readonly (string | undefined)[] },
): Promise<Target> {
  let count = final.entries.length;
  for (const cluster of others) {
    const view = await readOwnSuccession(dir, viewPath(dir, cluster));
    const known = view?.entries ?? [];
    const differs = final.entries.findIndex((entry, n) => !isSame(entry, known[n]));
    if (differs !== -1) count = Math.min(count, differs);
  }
  // What all have known before is not taken back: a cluster may have come since.
  count = Math.max(count, home.current.number);
  const states = final.states.slice(0, count + 1) as [KeyState, ...KeyState[]];
  return { entries: final.entries.slice(0, count), states, state: states.at(-1)! };
}

const isSame = (one: Uint8Array, other: Uint8Array | undefined): boolean =>
  other !== undefined && Buffer.compare(one, other) === 0;

class Settling {
  readonly promoted: KeyRole[] = [];
  readonly retired: KeyRole[] = [];
  readonly #options: SettleOptions;
  readonly #target: Target;
  readonly #disk: Disk;

  constructor(options: SettleOptions, target: Target, disk: Disk) {
    this.#options = options;
    this.#target = target;
    this.#disk = disk;
  }

  /** The succession first: from then on keys in force are found among the pending files, too. */
  async record(
    { origin, current, lost: before }: Inspection,
    path = successionPath(this.#options.dir),
  ): Promise<readonly OpenRole[]> {
    const { entries, state } = this.#target;
    const lost: OpenRole[] = [];
    for (const role of OPEN_ROLES) if (await this.#isLost(role)) lost.push(role);
    if (state.number === current.number && lost.join() === before.join()) return lost;
    const own: OwnSuccession = { origin, entries, lost };
    if (dirname(path) !== this.#options.dir) await this.#disk.makeDirectory(dirname(path));
    await this.#disk.write(path, renderOwnSuccession(own));
    return lost;
  }

  async #isLost(role: OpenRole): Promise<boolean> {
    const { dir } = this.#options;
    for (const path of [keyPath(dir, role), keyPath(pendingDir(dir), role)]) {
      const key = await publicKeyIn(path);
      if (key !== undefined && this.#isInForce(role, key)) return false;
    }
    return true;
  }

  /** Lays aside or erases what is not in force, and puts into its place what is. */
  async converge(role: KeyRole): Promise<void> {
    const { dir } = this.#options;
    const path = keyPath(dir, role);
    const key = await publicKeyIn(path);
    if (key !== undefined && !this.#isInForce(role, key)) {
      await this.#retire(role, path, key);
      this.retired.push(role);
    }
    const backup = await publicKeyIn(`${path}.bak`).catch(() => '');
    if (backup !== undefined && !this.#isInForce(role, backup)) {
      await erase(`${path}.bak`, this.#disk);
    }
    const aside = keyPath(pendingDir(dir), role);
    const prepared = await publicKeyIn(aside);
    if (prepared === undefined || !this.#isInForce(role, prepared)) return;
    if ((await statIfPresent(path)) === undefined) {
      await this.#disk.rename(aside, path);
      this.promoted.push(role);
    }
  }

  #isInForce(role: KeyRole, key: string): boolean {
    const { state } = this.#target;
    if (role !== 'next') return keyInForce(state, role) === key;
    return hex(sha256(fromHex(key))) === hex(state.keys.nextIdentityDigest);
  }

  // A4
  async #retire(role: KeyRole, path: string, key: string): Promise<void> {
    const { dir, graceUntil = {}, now } = this.#options;
    const retiring = RETIRING_ROLES.find((one) => one === role);
    const until = (retiring && graceUntil[retiring]) ?? 0;
    if (retiring === undefined || until <= now || key !== this.#keyBefore(retiring)) {
      await erase(path, this.#disk);
      return;
    }
    await this.#disk.makeDirectory(retiredDir(dir));
    await this.#disk.rename(path, retiredPath(dir, retiring, until));
  }

  /** H2, O18: only the one right before the latest counts. */
  #keyBefore(role: RetiringRole): string | undefined {
    const keys = this.#target.states.map((state) => keyInForce(state, role));
    return keys.findLast((key) => key !== keys.at(-1));
  }

  /** @returns whether what was prepared here will never come into force. */
  async clearPending(): Promise<boolean> {
    const { dir } = this.#options;
    const entry = await readEntry(dir);
    if (entry !== undefined && entry.number > this.#target.state.number) return false;
    await eraseDirectory(pendingDir(dir), 'entry.cbor', this.#disk);
    const digests = this.#target.states.map(({ digest }) => digest);
    return entry !== undefined && !digests.includes(entry.digest);
  }

  async clearRetired(): Promise<void> {
    const { dir, now } = this.#options;
    for (const name of await namesIn(retiredDir(dir))) {
      const path = join(retiredDir(dir), name);
      const known = readRetiredName(name);
      const isWithin = known !== undefined && known.until > now;
      const isUseful = isWithin && (await publicKeyIn(path)) === this.#keyBefore(known.role);
      if (!isUseful) await erase(path, this.#disk);
    }
    const isEmpty = (await namesIn(retiredDir(dir))).length === 0;
    if (isEmpty && (await statIfPresent(retiredDir(dir))) !== undefined) {
      await this.#disk.removeDirectory(retiredDir(dir));
    }
  }

  // K2: another consensus key than those that the backup brought is in force.
  async clearMarker(restored: readonly string[] | undefined): Promise<void> {
    const key = keyInForce(this.#target.state, 'consensus');
    if (restored === undefined || restored.includes(key)) return;
    await this.#disk.unlink(restoredPath(this.#options.dir));
  }
}

/** Undefined when there is no file. @throws {AegisError} `KEYSTORE_DAMAGED`. */
async function publicKeyIn(path: string): Promise<string | undefined> {
  if ((await statIfPresent(path)) === undefined) return undefined;
  return (await readKeyFile(path)).public.key;
}

async function readEntry(dir: string): Promise<{ number: number; digest: string } | undefined> {
  const path = entryPath(dir);
  if ((await statIfPresent(path)) === undefined) return undefined;
  const { bytes } = await readSmallFile(path, SUCCESSION_BYTES_MAX + 128);
  const { succession, digest } = openSuccession(bytes);
  return { number: succession.number, digest };
}
