/**
 * Sees to the readers' keys (docs/knowledge-base.md, W45): opens those that custodians have
 * written, and, on a custodian, writes the next one when a member is a reader no more, or the same
 * again when there is a new member. It forgets no key: what was sealed to it may still be read.
 */
import { randomBytes } from 'node:crypto';
import type { CID } from 'multiformats/cid';
import type { Roster, RosterMember } from '../chain/roster.ts';
import { recipientOfSecret } from '../crypto/reading-key.ts';
import { toAegisError } from '../errors.ts';
import type { Replication } from '../kb/replication.ts';
import { ageFileOf, openAgeFile } from '../keys/age.ts';
import {
  encodeReaders,
  epochOfPath,
  pathOfEpoch,
  READERS_BYTES_MAX,
  READERS_PREFIX,
  type ReadersEpoch,
  readReaders,
} from '../model/readers.ts';
import type { SignedVersion } from '../model/version.ts';
import type { Log } from '../ports.ts';
import { Turns } from '../turns.ts';
import { SECOND } from '../units.ts';
import { type OwnReadingKeys, readerOfMember } from './reading-keys.ts';

export interface ReadersDeskDeps {
  /** Node id of this node. */
  readonly self: string;
  readonly graph: Replication['graph'];
  readonly roster: Pick<Roster, 'all' | 'get'>;
  readonly keys: OwnReadingKeys;
  /** The bytes of a file that is not sealed; it is brought here first. */
  read(root: CID, sizeBytes: number): Promise<Uint8Array>;
  /** Writes a file that is not sealed. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  readonly log: Log;
  /** Whether this node writes keys, if it is a custodian. */
  readonly isWriting: boolean;
  /** So long a custodian waits for each one that stands before it. @default 5,000 */
  readonly rankMs?: number;
}

/** Epochs, and versions of each, that are looked at. */
const EPOCHS_MAX = 1000;
const VERSIONS_MAX = 32;
const AGAIN_MS = 30 * SECOND;
const RANK_MS = 5 * SECOND;

export class ReadersDesk {
  readonly #deps: ReadersDeskDeps;
  readonly #turns = new Turns();
  /** Versions that have been looked at. */
  readonly #seen = new Map<string, ReadersEpoch | undefined>();
  #timer: NodeJS.Timeout | undefined;
  #hasWaited = false;
  #isRunning = false;

  constructor(deps: ReadersDeskDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#isRunning = true;
    this.look();
  }

  /** The members, their keys, or what is written below `.aegis/readers` may have changed. */
  look(): void {
    if (!this.#isRunning) return;
    void this.#turns
      .run(() => this.#look())
      .catch((error: unknown) => {
        const { code, message: reason } = toAegisError(error);
        this.#deps.log.write('warn', "the readers' keys could not be seen to yet", {
          code,
          reason,
        });
        this.#again(AGAIN_MS);
      });
  }

  stop(): void {
    this.#isRunning = false;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    const { keys } = this.#deps;
    await keys.keepOwn();
    const newest = await this.#newest();
    if (newest !== undefined) keys.enforce(newest.recipient);
    const wanted = this.#wanted(newest);
    if (wanted === undefined || !this.#deps.isWriting) return;
    const rank = this.#rank();
    if (rank === undefined) return;
    const waitMs = rank * (this.#deps.rankMs ?? RANK_MS);
    // Whoever stands before has written by then.
    if (waitMs > 0 && !this.#hasWaited) return this.#again(waitMs);
    this.#hasWaited = false;
    await this.#write(wanted);
  }

  #again(afterMs: number): void {
    if (!this.#isRunning || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#hasWaited = true;
      this.look();
    }, afterMs);
    this.#timer.unref();
  }

  /** What the newest epoch says; all that can be opened are. */
  async #newest(): Promise<ReadersEpoch | undefined> {
    const { graph } = this.#deps;
    const paths = graph
      .list(READERS_PREFIX, { limit: EPOCHS_MAX })
      .map(({ path }) => ({ path, epoch: epochOfPath(path) }))
      .filter(({ epoch }) => epoch !== undefined);
    let newest: ReadersEpoch | undefined;
    for (const { path } of paths.toSorted((a, b) => a.epoch! - b.epoch!)) {
      const shown = graph.shown(path);
      for (const signed of graph.log(path, { limit: VERSIONS_MAX })) {
        const read = await this.#read(signed);
        if (read !== undefined && signed.version.root.equals(shown?.version.root)) newest = read;
      }
    }
    return newest;
  }

  async #read(signed: SignedVersion): Promise<ReadersEpoch | undefined> {
    const { cidText, version } = signed;
    if (this.#seen.has(cidText)) return this.#seen.get(cidText);
    const { roster, log } = this.#deps;
    // Anybody may have a right to write there; only custodians say who reads.
    const isAuthor = roster.get(version.author)?.role === 'custodian';
    if (!isAuthor || version.deleted === true || version.sizeBytes > READERS_BYTES_MAX) {
      return undefined;
    }
    const bytes = await this.#deps.read(version.root, version.sizeBytes);
    let readers: ReadersEpoch | undefined;
    try {
      readers = readReaders(bytes);
      if (readers.epoch !== epochOfPath(version.path)) readers = undefined;
    } catch (error) {
      const { message: reason } = toAegisError(error);
      log.write('warn', "a version says nothing of the readers' keys", {
        version: cidText,
        reason,
      });
    }
    if (readers !== undefined) await this.#open(readers);
    this.#seen.set(cidText, readers);
    return readers;
  }

  async #open({ epoch, recipient, file }: ReadersEpoch): Promise<void> {
    const { keys, log } = this.#deps;
    keys.know(epoch, recipient);
    if (keys.has(recipient)) return;
    const secret = await openAgeFile(file, keys.all()).catch(() => undefined);
    if (secret === undefined) return;
    if (secret.length === 32 && recipientOfSecret(secret) === recipient) await keys.keep(secret);
    else
      log.write('error', 'a custodian has written another key of the readers than it names', {
        epoch,
      });
  }

  /** What is to be written, if anything: the next epoch, or the same for more members. */
  #wanted(newest: ReadersEpoch | undefined): { epoch: number; secret?: Uint8Array } | undefined {
    const { roster, keys } = this.#deps;
    const readers = new Set(this.#readers().map(({ nodeId }) => nodeId));
    const had = newest?.members ?? roster.all().map(({ nodeId }) => nodeId);
    if (had.some((nodeId) => !readers.has(nodeId))) return { epoch: (newest?.epoch ?? 0) + 1 };
    if (newest === undefined || readers.size === had.length) return undefined;
    const [secret] = keys.among([newest.recipient]);
    return secret && { epoch: newest.epoch, secret };
  }

  /** S8: whose key may be in other hands is none. */
  #readers(): RosterMember[] {
    const { roster } = this.#deps;
    return roster.all().filter(({ status, isFrozen }) => status === 'member' && !isFrozen);
  }

  /** Of this node among the custodians; undefined: it is none. */
  #rank(): number | undefined {
    const custodians = this.#readers().filter(({ role }) => role === 'custodian');
    const nodeIds = custodians.map(({ nodeId }) => nodeId).toSorted();
    const rank = nodeIds.indexOf(this.#deps.self);
    return rank < 0 ? undefined : rank;
  }

  async #write(wanted: { epoch: number; secret?: Uint8Array }): Promise<void> {
    const { keys, log } = this.#deps;
    const { epoch, secret = new Uint8Array(randomBytes(32)) } = wanted;
    const members = this.#readers().flatMap((member) => {
      const recipient = readerOfMember(member);
      return recipient === undefined ? [] : [{ nodeId: member.nodeId, recipient }];
    });
    const recipient = recipientOfSecret(secret);
    const file = await ageFileOf(
      secret,
      members.map((member) => member.recipient),
    );
    const nodeIds = members.map(({ nodeId }) => nodeId);
    // It is kept before anybody seals to it.
    await keys.keep(secret);
    await this.#deps.write(
      pathOfEpoch(epoch),
      encodeReaders({ epoch, recipient, members: nodeIds, file }),
    );
    keys.know(epoch, recipient);
    keys.enforce(recipient);
    log.write('info', "the readers' key was written", { epoch, members: members.length });
  }
}
