/**
 * The knowledge base of a running node: gives documents out, and carries out what the replication
 * machine decides. What a version is and who holds what, `kb/` says; kb-writer.ts takes things in.
 */
import type { CID } from 'multiformats/cid';
import type { CallContext, Download } from '../api/backend.ts';
import type { Query } from '../api/contract/endpoints.ts';
import { AegisError, hasCode, toAegisError } from '../errors.ts';
import { hasConflicts } from '../kb/conflicted.ts';
import { LIMITS } from '../kb/limits.ts';
import type { Replication, ReplicationInput, ReplicationOutcome } from '../kb/replication.ts';
import type { Outcome } from '../machine.ts';
import type { SignedVersion, Version } from '../model/version.ts';
import type { Log } from '../ports.ts';
import type { ContentLease, LeaseOptions } from '../storage/content-lease.ts';
import type { ContentStore } from '../storage/content-store.ts';
import { KIB, MIB } from '../units.ts';
import { Complaints } from './complaints.ts';
import type { Contents } from './contents.ts';
import type { Exporter } from './export.ts';
import type { FetchCall, Fetcher } from './fetcher.ts';
import type { Finality } from './finality.ts';
import { KbWriter, type KbWriterDeps, type KbWriterOptions } from './kb-writer.ts';
import { OwnVersions, type OwnVersionsDeps, type VersionsHold } from './own-versions.ts';
import { resolveFinal, resolveReference } from './reference.ts';
import { Sealer, type SealerDeps } from './sealer.ts';
import { checkNotShredded } from './shredder.ts';
import type { Space } from './space/space.ts';
import { timeout } from './timeout.ts';
import { Waiting } from './waiting.ts';

export const KB_MACHINE = 'kb';

export interface KnowledgeDeps extends Pick<KbWriterDeps, 'hasher' | 'checkMayWrite'> {
  readonly machine: Replication;
  readonly content: ContentStore;
  readonly fetcher: Fetcher;
  readonly contents: Contents;
  readonly sealing: Omit<SealerDeps, 'contents' | 'complete'>;
  readonly finality: Finality;
  readonly history: OwnVersionsDeps['history'];
  readonly author: OwnVersionsDeps['author'];
  readonly sealed: OwnVersionsDeps['sealed'];
  readonly log: Log;
  readonly space: Pick<Space, 'explain' | 'checkRoom'>;
  /** W24 */
  readonly pace: NonNullable<FetchCall['pace']>;
  /** A fetch for the placement came to nothing. */
  fetchFailed(root: CID, error: AegisError): void;
  /** Node ids that are connected now. */
  peers(): readonly string[];
  submit(input: ReplicationInput): void;
  /** What is shown under a path has changed. */
  changed(path: string): void;
}

/** So often peers are asked for a record that is final and not here. */
const MISSING_MS = 250;

/** Content of a root that is fetched together with others. */
const SMALL_BYTES = 64 * KIB;

type Bringing = Pick<FetchCall, 'root' | 'sources' | 'signal' | 'pace'> & {
  readonly sizeBytes: number;
  readonly isBound: boolean;
};

type FetchWanted = Extract<ReplicationOutcome, { type: 'fetchWanted' }>;

interface Copies {
  readonly copies: number;
  readonly nodes: readonly string[];
}

export class Knowledge {
  readonly writer: KbWriter;
  readonly #options: KbWriterOptions;
  readonly #deps: KnowledgeDeps;
  readonly #added = new Waiting<SignedVersion>();
  readonly #replicated = new Waiting<Copies>();
  readonly #own: OwnVersions;
  readonly #complaints: Complaints;
  /** Versions that are to be asked for next. */
  readonly #missing = new Set<string>();
  #missingSaidAt = -MISSING_MS;

  constructor(options: KbWriterOptions, deps: KnowledgeDeps) {
    this.#options = options;
    this.#deps = deps;
    const { self } = options;
    this.#complaints = new Complaints(deps.log);
    const copied: OwnVersionsDeps['copied'] = (signed, copies, signal) =>
      this.#copied(signed, copies, signal);
    this.#own = new OwnVersions({ ...deps, self, copied });
    const complete = (version: Version, signal: AbortSignal) => this.complete(version, signal);
    const sealer = new Sealer({ ...deps.sealing, contents: deps.contents, complete });
    this.writer = new KbWriter(options, { ...deps, own: this.#own, copied, complete, sealer });
  }

  /** Carries out what the machine has decided. */
  tell(outcome: Outcome): void {
    const decided = outcome as ReplicationOutcome;
    switch (decided.type) {
      case 'version-added':
        this.#added.tell(decided.version.cidText, decided.version);
        this.#own.added(decided.version);
        this.#deps.changed(decided.version.version.path);
        return;
      case 'fetchWanted':
        void this.#replicate(decided);
        return;
      case 'replicated': {
        this.#replicated.tell(decided.version, decided);
        const path = this.#deps.machine.graph.get(decided.version)?.version.path;
        if (path !== undefined) this.#deps.changed(path);
        return;
      }
      case 'equivocation': {
        const { author, sequence } = decided;
        const fields = { author, sequence };
        this.#complaints.say('error', 'a node has signed two versions as one', author, fields);
        return;
      }
      case 'refused': {
        const { from, error } = decided;
        if (from === this.#options.self) this.#own.refused(error);
        const fields = { from, code: error.code, reason: error.message };
        this.#complaints.say(
          'warn',
          'refused a message of a peer',
          `${from} ${error.code}`,
          fields,
        );
      }
    }
  }

  /** Ends all waits: the disk takes nothing now, or the node stops. What is queued stays queued. */
  fail(error: AegisError): void {
    this.#own.fail(error);
    this.#replicated.fail(error);
  }

  /** A3: no version is signed until the hold is released. @throws {AegisError} `TRY_AGAIN`. */
  holdVersions(): Promise<VersionsHold> {
    return this.#own.hold();
  }

  async get(query: Query<'kb.get'>, { signal }: CallContext): Promise<Download> {
    const { linearizable, provisional, timeoutMs } = query;
    if (linearizable && provisional) {
      throw new AegisError('BAD_REQUEST', 'what is provisional cannot be linearizable');
    }
    const deadline = AbortSignal.any([signal, timeout(timeoutMs)]);
    if (linearizable) await this.#agree(deadline);
    const { graph } = this.#deps.machine;
    const reference = provisional
      ? resolveReference(graph, query.path)
      : await resolveFinal(graph, query.path, (path) => this.#deps.finality.head(path, deadline));
    const { signed, inside } = reference;
    const { root } = signed.version;
    checkNotShredded(graph, signed);
    const conflicts = conflictsAt(signed.version, inside);
    if (query.strict && conflicts > 0) throw conflicted(query.path, conflicts);
    const [decided] = await this.#deps.finality.find([signed.cidText]);
    const isFinal = decided !== undefined && decided.result !== 'refused';
    await this.complete(signed.version, deadline);
    const { exporter } = await this.#deps.contents.open(root, signal);
    const at = await exporter.resolve(root, inside);
    const content = await exporter.open(at);
    const sizeBytes = content.kind === 'file' ? content.sizeBytes : signed.version.sizeBytes;
    const path = [signed.version.path, ...inside].join('/');
    const facts = { path, cid: at.toString(), version: signed.cidText, sizeBytes, conflicts };
    return { ...facts, final: isFinal, height: isFinal ? decided.height : null, ...content };
  }

  /** A content that is here, or is brought here first, to be read. */
  async contents(
    root: CID,
    sizeBytes: number = LIMITS.rootBytes,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<Exporter> {
    await this.complete({ root, sizeBytes }, signal);
    return (await this.#deps.contents.open(root, signal)).exporter;
  }

  /** The record of a version that is final, from wherever it comes. */
  async record(version: string, signal: AbortSignal): Promise<SignedVersion> {
    const known = this.#deps.machine.graph.get(version);
    if (known !== undefined) return known;
    const added = this.#added.wait(version, () => true, signal);
    this.#sayMissing(version);
    return await added;
  }

  /** Those that many ask for at once are asked for together. */
  #sayMissing(version: string): void {
    this.#missing.add(version);
    if (this.#missing.size > 1) return;
    const waitMs = Math.max(0, this.#missingSaidAt + MISSING_MS - performance.now());
    setTimeout(() => {
      this.#missingSaidAt = performance.now();
      this.#deps.submit({ type: 'missing', versions: [...this.#missing] });
      this.#missing.clear();
    }, waitMs).unref();
  }

  /** Makes a root complete in the own store again: called when an object of it is bad or gone. */
  async mend(root: CID, signal: AbortSignal | undefined): Promise<void> {
    this.#deps.submit({ type: 'lost', root });
    await this.#leased({ root, isBound: false }, async (lease) => {
      await this.#deps.fetcher.fetch({ root, sources: this.sources(root), ...withSignal(signal) });
      const known = await this.#deps.content.root(root);
      await lease.setRoot(root, { sizeBytes: known?.sizeBytes ?? 0, complete: true });
      this.#deps.submit({ type: 'stored', root });
    });
  }

  /** Connected nodes that may have a root, the likeliest first. */
  sources(root: CID): string[] {
    const connected = new Set(this.#deps.peers());
    const likely = this.#deps.machine.sources(root);
    return [...new Set([...likely, ...connected])].filter((nodeId) => connected.has(nodeId));
  }

  /** W31: holds a lease until `work` has recorded the root. */
  async #leased<T>(options: LeaseOptions, work: (lease: ContentLease) => Promise<T>): Promise<T> {
    const lease = this.#deps.content.lease(options);
    try {
      return await work(lease);
    } finally {
      lease.release();
    }
  }

  /** @throws {AegisError} `NOT_FINAL` when no quorum of custodians answers in time. */
  async #agree(signal: AbortSignal): Promise<void> {
    try {
      await this.#deps.finality.barrier(signal);
    } catch (error) {
      if (!hasCode(error, 'TIMEOUT')) throw error;
      throw new AegisError('TIMEOUT', 'no quorum of custodians has answered in time', {
        hint: 'See: aegis consensus status --why. Without --linearizable: what is final here.',
      });
    }
  }

  async #copied(signed: SignedVersion, copies: number, signal: AbortSignal) {
    const enough = this.#replicated.wait(signed.cidText, (seen) => seen.copies >= copies, signal);
    this.#deps.submit({ type: 'want', version: signed.cidText, copies });
    return (await enough).nodes;
  }

  /** Fetches what is not here of the content of a version. @throws {AegisError} `NOT_KEPT`. */
  async complete(
    version: Pick<Version, 'root' | 'sizeBytes'> & { readonly path?: string },
    signal: AbortSignal,
  ): Promise<void> {
    const { root, sizeBytes } = version;
    const known = await this.#deps.content.root(root);
    if (known?.complete === true) return;
    try {
      await this.#bring({ root, sizeBytes, sources: this.sources(root), isBound: false, signal });
    } catch (error) {
      throw this.#deps.space.explain(error, version);
    }
  }

  /** Fetches a root and records that it is here. */
  async #bring({ sizeBytes, ...call }: Bringing): Promise<void> {
    const { root, isBound } = call;
    await this.#leased({ root, isBound }, async (lease) => {
      await this.#deps.fetcher.fetch({ ...call, ...sizeOf(sizeBytes) });
      await lease.setRoot(root, { sizeBytes, complete: true });
      this.#deps.submit({ type: 'stored', root });
    });
  }

  /** What the placement wants here. */
  async #replicate({ root, sizeBytes, sources, isRepair }: FetchWanted): Promise<void> {
    const pace = isRepair ? { pace: this.#deps.pace } : {};
    try {
      this.#deps.space.checkRoom();
      const all = [...new Set([...sources, ...this.sources(root)])];
      await this.#bring({ root, sizeBytes, sources: all, isBound: true, ...pace });
    } catch (error) {
      const failure = toAegisError(error);
      this.#deps.fetchFailed(root, failure);
      const fields = { root: root.toString(), code: failure.code, reason: failure.message };
      this.#deps.log.write('info', 'a root could not be fetched yet', fields);
      this.#deps.submit({ type: 'fetch-failed', root });
    }
  }
}

/**
 * The objects of a document are its content and, at most as long again, the nodes above it; of a
 * million small files that are sealed, names and what sealing adds are more than they have.
 */
const sizeOf = (sizeBytes: number) => ({
  maxBytes: Math.min(2 * sizeBytes + 512 * MIB, LIMITS.rootBytes),
  isSmall: sizeBytes <= SMALL_BYTES,
});

/** W17: those of a merge at a place, below it, or around it. */
function conflictsAt(version: Version, inside: readonly string[]): number {
  if (!hasConflicts(version)) return 0;
  const at = inside.join('/');
  const isNear = (place: string): boolean =>
    at === '' ||
    place === '' ||
    `${place}/`.startsWith(`${at}/`) ||
    `${at}/`.startsWith(`${place}/`);
  const near = (version.conflicts ?? []).filter((conflict) => isNear(conflict.at)).length;
  // Those that are not listed may be anywhere.
  return version.isMoreConflicts === true ? near + 1 : near;
}

const conflicted = (path: string, conflicts: number): AegisError =>
  new AegisError('CONFLICT', `${path} is a merge with conflicts: ${conflicts}`, {
    details: { conflicts },
  });

const withSignal = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal });
