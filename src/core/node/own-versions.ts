/**
 * Makes the versions of this node, one after another: on what each follows, whether it is allowed,
 * and that it is durable and queued for the custodians. It neither reads content nor waits for
 * anybody's agreement.
 */
import type { CID } from 'multiformats/cid';
import { AegisError } from '../errors.ts';
import { hasConflicts } from '../kb/conflicted.ts';
import type { Replication, ReplicationInput } from '../kb/replication.ts';
import {
  createVersion,
  createVersions,
  type SignedVersion,
  type Version,
} from '../model/version.ts';
import { Turns } from '../turns.ts';
import type { Verified } from '../units.ts';
import type { Author } from './author.ts';
import type { Base, Finality } from './finality.ts';
import type { Imported } from './import.ts';
import type { Queued } from './intent-desk.ts';
import type { OwnHistory } from './own-history.ts';
import { Waiting } from './waiting.ts';

export interface OwnVersionsDeps {
  /** Node id of this node. */
  readonly self: string;
  readonly machine: Replication;
  readonly history: OwnHistory;
  readonly author: Pick<Author, 'keyEpoch' | 'signer' | 'signed'>;
  readonly finality: Finality;
  /** A3: versions above this one would count for nobody; undefined: all count. */
  sealed(): number | undefined;
  submit(input: ReplicationInput): void;
  /** Resolves when the version has so many copies, with the nodes that have one. */
  copied(signed: SignedVersion, copies: number, signal: AbortSignal): Promise<readonly string[]>;
}

export interface WantedDeletion {
  readonly path: string;
  readonly message: string | undefined;
  /** The version that must be the one that is followed, or `none`. */
  readonly ifVersion: string | undefined;
  /** Whether to ask a quorum before the write is refused: another node may know better. */
  readonly isAgreed: boolean;
  /** W46 */
  readonly isShred?: boolean | undefined;
}

export interface WantedVersion extends WantedDeletion {
  readonly kind: 'file' | 'directory';
}

/** A file that comes with many others. */
export interface WantedFile extends Imported {
  readonly path: string;
  readonly message: string | undefined;
}

export interface OwnVersion {
  readonly signed: SignedVersion;
  readonly created: boolean;
  /** The intent by which it becomes final; undefined when it is. */
  readonly queued: Queued | undefined;
}

/** A3: while it lasts this node signs no version. */
export interface VersionsHold {
  /** So many it has signed. */
  readonly versions: number;
  release(): void;
}

/** What a version says of its content. */
type Content = Pick<Version, 'root' | 'sizeBytes' | 'directory' | 'deleted' | 'shredded'>;

interface Fresh {
  readonly file: WantedFile;
  readonly base: Base;
}

interface Unqueued {
  readonly signed: Verified<SignedVersion>;
  readonly expected: CID | null | undefined;
  readonly others: Base['others'];
}

export class OwnVersions {
  readonly #deps: OwnVersionsDeps;
  readonly #added = new Waiting<SignedVersion>();
  readonly #never = new AbortController().signal;
  /** Each has the next sequence number. */
  readonly #turns = new Turns();
  /** By path, a version of which it was not known in time whether it is durable. */
  readonly #unqueued = new Map<string, Unqueued>();
  /** Holds that have been asked for and are not over. */
  #holds = 0;
  /** The version that was given to the machine last. */
  #lastLocal: SignedVersion | undefined;

  constructor(deps: OwnVersionsDeps) {
    this.#deps = deps;
  }

  /** The graph has a version; it is durable. */
  added(signed: SignedVersion): void {
    this.#added.tell(signed.cidText, signed);
    if (signed.cidText === this.#lastLocal?.cidText) this.#lastLocal = undefined;
    const { path } = signed.version;
    if (this.#unqueued.get(path)?.signed.cidText !== signed.cidText) return;
    // Nobody waits for it any more; it becomes an intent all the same.
    this.#turns.run(() => this.#queueLeft(path)).catch(() => {});
  }

  /** The machine did not take a version. They are made one at a time, so it is the last one. */
  refused(error: AegisError): void {
    this.#lastLocal = undefined;
    this.#added.fail(error);
  }

  fail(error: AegisError): void {
    this.#added.fail(error);
  }

  /** @throws {AegisError} `EXISTS` for another version than the expected one; `TRY_AGAIN`. */
  write(wanted: WantedVersion, imported: Imported, signal: AbortSignal): Promise<OwnVersion> {
    return this.#inTurn(() => this.#write(wanted, imported, signal), signal);
  }

  /** W2. @throws {AegisError} `NOT_FOUND` for a path that was never written; as `write`. */
  remove(wanted: WantedDeletion, signal: AbortSignal): Promise<OwnVersion> {
    return this.#inTurn(() => this.#remove(wanted, signal), signal);
  }

  /**
   * A3: a succession names how many versions it seals, so that from before it is made until it is
   * final nothing may be signed that it does not count: such a version would be none.
   * @throws {AegisError} `TRY_AGAIN` while the own versions are not all back.
   */
  hold(): Promise<VersionsHold> {
    const { self, history, machine } = this.#deps;
    const held = Promise.withResolvers<VersionsHold>();
    const over = Promise.withResolvers<void>();
    this.#holds += 1;
    this.#turns
      .run(async () => {
        await history.check();
        held.resolve({ versions: machine.graph.nextSequence(self) - 1, release: over.resolve });
        await over.promise;
      })
      .catch(held.reject)
      .finally(() => {
        this.#holds -= 1;
      });
    return held.promise;
  }

  /** W4: many paths in one intent, each as `write` would. Each path once. */
  writeAll(batch: readonly WantedFile[], signal: AbortSignal): Promise<readonly OwnVersion[]> {
    return this.#inTurn(() => this.#writeAll(batch, signal), signal);
  }

  async #inTurn<T>(make: () => Promise<T>, signal: AbortSignal): Promise<T> {
    // As ever: what is begun in time is written, whoever waits for it.
    if (this.#holds === 0) return await this.#turns.run(make);
    const begun = Promise.withResolvers<void>();
    const made = this.#turns.run(() => {
      begun.resolve();
      signal.throwIfAborted();
      return make();
    });
    made.catch(() => {});
    await Promise.race([begun.promise, this.#aborted(signal)]);
    return await made;
  }

  /** Rejects when the caller gives up before its turn has come. */
  async #aborted(signal: AbortSignal): Promise<never> {
    if (!signal.aborted) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    }
    throw this.#holds > 0 ? changing() : signal.reason;
  }

  /**
   * On what the next version of a path follows, once the caller's expectation holds.
   * @throws {AegisError} `EXISTS` when it does not; what keeps us from knowing, when that is so.
   */
  async base(
    { path, ifVersion, isAgreed }: Omit<WantedDeletion, 'message'>,
    signal: AbortSignal,
  ): Promise<Base> {
    const { finality } = this.#deps;
    let base = await finality.base(path, signal);
    if (ifVersion === undefined || nameOf(base) === ifVersion) return base;
    if (isAgreed) base = await this.#agreedBase(path, base, signal);
    const found = nameOf(base);
    if (found === ifVersion) return base;
    throw new AegisError('EXISTS', `${path} shows ${found}, not ${ifVersion}`, {
      hint: 'Read it again, and decide again. See: aegis kb log',
      details: { found, expected: ifVersion },
    });
  }

  /** What this node knows may be old news, and its own last version may still be refused. */
  async #agreedBase(path: string, known: Base, signal: AbortSignal): Promise<Base> {
    const { finality } = this.#deps;
    let base = known;
    while (base.queued !== undefined) {
      await finality.wait(base.queued, signal).catch(rethrowAbort(signal));
      base = await finality.base(path, signal);
    }
    await finality.barrier(signal);
    return await finality.base(path, signal);
  }

  async #write(
    wanted: WantedVersion,
    imported: Imported,
    signal: AbortSignal,
  ): Promise<OwnVersion> {
    await this.#deps.history.check();
    await this.#queueLeft(wanted.path);
    const base = await this.base(wanted, signal);
    const before = base.signed;
    if (before !== undefined && shows(base, imported.root)) {
      this.#deps.submit({ type: 'stored', root: imported.root });
      // One copy is here as soon as the facts before it are durable: the graph knows it earlier.
      await this.#deps.copied(before, 1, this.#never);
      return { signed: before, created: false, queued: base.queued };
    }
    const { kind } = wanted;
    const content = { ...imported, ...(kind === 'directory' ? { directory: true } : {}) };
    return await this.#follow(wanted, content, base);
  }

  async #writeAll(batch: readonly WantedFile[], signal: AbortSignal): Promise<OwnVersion[]> {
    const { finality, history, author } = this.#deps;
    await history.check();
    const [same, fresh]: [OwnVersion[], Fresh[]] = [[], []];
    for (const file of batch) {
      await this.#queueLeft(file.path);
      const wanted = { path: file.path, ifVersion: undefined, isAgreed: false };
      const base = finality.baseAtOnce(file.path) ?? (await this.base(wanted, signal));
      if (!shows(base, file.root)) fresh.push({ file, base });
      else same.push({ signed: base.signed!, created: false, queued: base.queued });
    }
    for (const { signed } of same) this.#deps.submit({ type: 'stored', root: signed.version.root });
    if (fresh.length === 0) return same;
    const made = await author.signed(() => this.#queueAll(fresh));
    return [...same, ...made];
  }

  /** Signed one after another, durable together. */
  async #queueAll(fresh: readonly Fresh[]): Promise<OwnVersion[]> {
    this.#checkLast();
    const fields = fresh.map(({ file: { path, message, root, sizeBytes }, base }, n) =>
      this.#fields({ path, message }, { root, sizeBytes }, base.signed, n),
    );
    const versions = createVersions(fields, this.#deps.author.signer()).map((signed, n) => ({
      ...{ signed, others: fresh[n]!.base.others },
    }));
    try {
      const all = Promise.all(
        versions.map(({ signed }) => this.#added.wait(signed.cidText, () => true, this.#never)),
      );
      this.#lastLocal = versions.at(-1)?.signed;
      for (const { signed } of versions) this.#deps.submit({ type: 'local', version: signed });
      await all;
      const queued = await this.#deps.finality.submitAll(versions);
      return versions.map(({ signed }) => ({ signed, created: true, queued }));
    } catch (error) {
      for (const { signed, others } of versions) this.#keepUnqueued({ signed, others });
      throw error;
    }
  }

  #keepUnqueued(unqueued: Omit<Unqueued, 'expected'> & Partial<Unqueued>): void {
    const { cidText, version } = unqueued.signed;
    if (this.#deps.machine.graph.get(cidText) === undefined) return;
    this.#unqueued.set(version.path, { expected: undefined, ...unqueued });
  }

  async #remove(wanted: WantedDeletion, signal: AbortSignal): Promise<OwnVersion> {
    await this.#deps.history.check();
    await this.#queueLeft(wanted.path);
    const base = await this.base(wanted, signal);
    const { signed: before, others, queued } = base;
    if (before === undefined) throw nothingToRemove(wanted.path);
    const { version } = before;
    const { isShred = false } = wanted;
    const isGone = version.deleted === true && (!isShred || version.shredded === true);
    if (isGone && others.length === 0) return { signed: before, created: false, queued };
    const { root, sizeBytes, directory } = version;
    const kind = directory === true ? { directory } : {};
    const how = { ...kind, deleted: true, ...(isShred ? { shredded: true } : {}) };
    return await this.#follow(wanted, { root, sizeBytes, ...how }, base);
  }

  async #follow(wanted: WantedDeletion, content: Content, base: Base): Promise<OwnVersion> {
    const { signed: before, others } = base;
    const expected = wanted.ifVersion === undefined ? undefined : cidOf(base);
    const make = () => {
      this.#checkLast();
      return this.#queue({ signed: this.#create(wanted, content, before), expected, others });
    };
    return { ...(await this.#deps.author.signed(make)), created: true };
  }

  /** The version is durable, and its intent too. */
  async #queue({ signed, expected, others }: Unqueued): Promise<Omit<OwnVersion, 'created'>> {
    try {
      // Waits even for a caller that has gone: the next version needs to know that this one is in.
      const added = this.#added.wait(signed.cidText, () => true, this.#never);
      this.#lastLocal = signed;
      this.#deps.submit({ type: 'local', version: signed });
      await added;
      return { signed, queued: await this.#deps.finality.submit(signed, expected, others) };
    } catch (error) {
      this.#keepUnqueued({ signed, expected, others });
      throw error;
    }
  }

  /** Makes up for what a full disk, or a full queue, has kept from being queued. */
  async #queueLeft(path: string): Promise<void> {
    const left = this.#unqueued.get(path);
    if (left === undefined) return;
    await this.#deps.copied(left.signed, 1, this.#never);
    await this.#deps.finality.submit(left.signed, left.expected, left.others);
    this.#unqueued.delete(path);
  }

  #create(
    wanted: WantedDeletion,
    content: Content,
    before: SignedVersion | undefined,
  ): Verified<SignedVersion> {
    return createVersion(this.#fields(wanted, content, before, 0), this.#deps.author.signer());
  }

  /** @param earlier how many of those that are made now come before it. */
  #fields(
    { path, message }: Pick<WantedDeletion, 'path' | 'message'>,
    content: Content,
    before: SignedVersion | undefined,
    earlier: number,
  ): Version {
    const { self, machine, author } = this.#deps;
    const sequence = machine.graph.nextSequence(self) + earlier;
    if (sequence > (this.#deps.sealed() ?? Infinity)) throw changing();
    return {
      path,
      ...content,
      parents: before === undefined ? [] : [before.cid],
      generation: (before?.version.generation ?? 0) + 1,
      sequence,
      time: Math.max(Date.now(), before?.version.time ?? 0),
      author: self,
      keyEpoch: author.keyEpoch,
      ...(message === undefined ? {} : { message }),
    };
  }

  /** Two versions must not be numbered alike. @throws {AegisError} `TRY_AGAIN`. */
  #checkLast(): void {
    const last = this.#lastLocal;
    if (last === undefined || this.#deps.machine.graph.get(last.cidText) !== undefined) return;
    throw new AegisError('TRY_AGAIN', 'an earlier version still waits to be written');
  }
}

const changing = (): AegisError =>
  new AegisError('TRY_AGAIN', 'this node changes its identity key, and writes wait for it', {
    hint: 'Nothing was written. See: aegis keys list',
  });

/**
 * The same content again changes nothing, so that repeating a command is harmless; but what has
 * conflicts is resolved by any version that follows it (W17).
 */
const shows = ({ signed, others }: Base, root: CID): boolean =>
  others.length === 0 &&
  signed?.version.deleted !== true &&
  signed?.version.root.equals(root) === true &&
  !hasConflicts(signed.version);

const nothingToRemove = (path: string): AegisError =>
  new AegisError('NOT_FOUND', `there is nothing under ${path}`, {
    hint: 'See what there is: aegis kb ls',
  });

/** What the next version follows, as the chain knows it; null for nothing that can be read. */
function cidOf({ signed, others }: Base): CID | null {
  if (signed !== undefined) return signed.cid;
  const [first] = others;
  return first === undefined || first.deleted === true ? null : first.version;
}

const nameOf = (base: Base): string =>
  base.signed?.version.deleted === true ? 'none' : (cidOf(base)?.toString() ?? 'none');

/** What became of the earlier version does not matter here, but that the wait is over does. */
const rethrowAbort = (signal: AbortSignal) => (): void => signal.throwIfAborted();
