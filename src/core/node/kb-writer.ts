/**
 * What this node writes into the knowledge base for a caller: content that comes in, an earlier
 * content once more, a deletion. How versions are made and numbered, own-versions.ts says; here it
 * is decided what is asked for, and waited for what the caller wants to wait for.
 */
import type { CID } from 'multiformats/cid';
import type { CallContext, TreeEntry, Upload } from '../api/backend.ts';
import type { Body, Query, Result } from '../api/contract/endpoints.ts';
import { AegisError, hasCode } from '../errors.ts';
import type { Replication } from '../kb/replication.ts';
import { compareShown } from '../kb/versions.ts';
import { CHANGES_MAX } from '../model/intent.ts';
import { parsePath } from '../model/path.ts';
import type { SignedVersion, Version } from '../model/version.ts';
import type { Hasher } from '../ports.ts';
import type { ContentLease, LeaseOptions } from '../storage/content-lease.ts';
import type { ContentStore } from '../storage/content-store.ts';
import { SECOND } from '../units.ts';
import type { Finality } from './finality.ts';
import { type Imported, type ImportedFile, Importer } from './import.ts';
import { importEach } from './import-each.ts';
import type { Queued } from './intent-desk.ts';
import { KbBulk } from './kb-bulk.ts';
import type { OwnVersion, OwnVersions } from './own-versions.ts';
import { resolveVersion } from './reference.ts';
import type { Sealer } from './sealer.ts';
import { checkNotShredded } from './shredder.ts';
import { timeout } from './timeout.ts';

export interface KbWriterOptions {
  /** Node id of this node. */
  readonly self: string;
  /** Copies that `--wait replicated` waits for when the caller names no number, if there can be. */
  readonly minReplicas: number;
  /** Copies that the placement asks for. */
  readonly replicas: number;
  /** So long a write waits for news of what is final. @default 2,000 */
  readonly newsMs?: number;
  /** How many custodians there are now. */
  custodians(): number;
}

export interface KbWriterDeps {
  readonly machine: Replication;
  readonly content: ContentStore;
  readonly finality: Finality;
  readonly own: OwnVersions;
  readonly sealer: Sealer;
  readonly hasher: (name: Hasher['name']) => Hasher;
  /** N1. @throws {AegisError} `NOT_ALLOWED`. */
  checkMayWrite(path: string, signal: AbortSignal): Promise<void>;
  /** Resolves when the version has so many copies, with the nodes that have one. */
  copied(signed: SignedVersion, copies: number, signal: AbortSignal): Promise<readonly string[]>;
  /** Fetches what is not here of the content of a version. */
  complete(version: Pick<Version, 'root' | 'sizeBytes'>, signal: AbortSignal): Promise<void>;
}

/** A content that is here already. */
export type WantedContent = Pick<Version, 'root' | 'sizeBytes' | 'directory'>;

/** What a caller waits for, whatever it writes. */
type Waits = Pick<Query<'kb.put'>, 'wait' | 'timeoutMs' | 'replicas'>;

/** How long a write waits for news of what is final; without a quorum there are none. */
const NEWS_MS = 2 * SECOND;
/** Digits of an intent's id that people are shown. */
const ID_SHOWN = 12;

export class KbWriter {
  readonly #options: KbWriterOptions;
  readonly #deps: KbWriterDeps;

  constructor(options: KbWriterOptions, deps: KbWriterDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  async put(
    query: Query<'kb.put'>,
    upload: Upload,
    { signal }: CallContext,
  ): Promise<Result<'kb.put'>> {
    const path = parsePath(query.path);
    this.#checkCopies(query);
    const deadline = AbortSignal.any([signal, timeout(query.timeoutMs)]);
    const { ifVersion, message, wait } = query;
    const isAgreed = wait === 'final';
    await this.#deps.checkMayWrite(path, deadline);
    const wanted = { path, kind: upload.kind, message, ifVersion, isAgreed };
    const news = isAgreed ? this.#news(deadline) : undefined;
    // Before the content is taken in, which may be much.
    if (ifVersion !== undefined) await this.#deps.own.base(wanted, deadline);
    const own = await this.#leased({ isBound: true }, async (lease) => {
      const imported = await this.#import(query, upload, lease);
      await news;
      return await this.#deps.own.write(wanted, imported, deadline);
    });
    return await this.#written(own, query, deadline);
  }

  /** W3. @throws {AegisError} `NOT_FOUND`, `NOT_REACHABLE`, `NOT_KEPT` when nobody has it. */
  async revert(body: Body<'kb.revert'>, { signal }: CallContext): Promise<Result<'kb.revert'>> {
    this.#checkCopies(body);
    const deadline = AbortSignal.any([signal, timeout(body.timeoutMs)]);
    const { graph } = this.#deps.machine;
    const named = resolveVersion(graph, body.path);
    const { path } = named.signed.version;
    await this.#deps.checkMayWrite(path, deadline);
    if (body.wait === 'final') await this.#news(deadline);
    const source = named.isMarked ? named.signed : this.#before(path);
    const { version } = source;
    checkContent(source);
    checkNotShredded(graph, source);
    const isAgreed = body.wait === 'final';
    const { ifVersion, message = `revert to ${source.cidText}` } = body;
    const kind = version.directory === true ? 'directory' : 'file';
    const wanted = { path, kind, message, ifVersion, isAgreed } as const;
    const { root, sizeBytes } = version;
    const own = await this.#leased({ root, isBound: false }, async () => {
      // Who signs it is one who can give it; where it is here, as it mostly is, nothing moves.
      await this.#deps.complete(version, deadline);
      return await this.#deps.own.write(wanted, { root, sizeBytes }, deadline);
    });
    return { ...(await this.#written(own, body, deadline)), from: source.cidText };
  }

  /** W2. @throws {AegisError} `NOT_FOUND` for a path that was never written. */
  async remove(body: Body<'kb.rm'>, { signal }: CallContext): Promise<Result<'kb.rm'>> {
    const path = parsePath(body.path);
    this.#checkCopies(body);
    const deadline = AbortSignal.any([signal, timeout(body.timeoutMs)]);
    await this.#deps.checkMayWrite(path, deadline);
    const isAgreed = body.wait === 'final';
    if (isAgreed) await this.#news(deadline);
    const { ifVersion, message, shred: isShred } = body;
    const wanted = { path, message, ifVersion, isAgreed, isShred };
    const own = await this.#deps.own.remove(wanted, deadline);
    return await this.#written(own, body, deadline);
  }

  /**
   * W17. The content is here, whole, and under a lease.
   * @param content undefined: the path is deleted.
   */
  async resolve(
    body: Omit<Body<'kb.resolve'>, 'take' | 'at'>,
    content: WantedContent | undefined,
    deadline: AbortSignal,
  ): Promise<Result<'kb.rm'>> {
    this.#checkCopies(body);
    const { path, ifVersion, message, wait } = body;
    await this.#deps.checkMayWrite(path, deadline);
    const isAgreed = wait === 'final';
    const wanted = { path, message, ifVersion, isAgreed };
    const kind = content?.directory === true ? 'directory' : 'file';
    const own =
      content === undefined
        ? await this.#deps.own.remove(wanted, deadline)
        : await this.#deps.own.write({ ...wanted, kind }, content, deadline);
    return await this.#written(own, body, deadline);
  }

  /** W4. @throws {AegisError} as `put`; what was written until then stays. */
  async putEach(
    query: Query<'kb.each'>,
    entries: AsyncIterable<TreeEntry>,
    { signal }: CallContext,
  ): Promise<Result<'kb.each'>> {
    const { own, finality, checkMayWrite } = this.#deps;
    if (query.wait === 'final') await this.#news(signal);
    return await this.#leased({ isBound: true }, async (lease) => {
      const setRoots = (files: readonly Imported[]) =>
        lease.setRoots(
          files.map(({ root: cid, sizeBytes }) => ({ cid, sizeBytes, complete: true })),
        );
      const batches = this.#batches(query, entries, lease);
      const deps = { own, finality, setRoots, checkMayWrite };
      return await new KbBulk(query, deps, signal).take(batches);
    });
  }

  /** The files of a tar, each a root. */
  #batches(
    query: Query<'kb.each'>,
    entries: AsyncIterable<TreeEntry>,
    content: ContentLease,
  ): AsyncIterable<readonly ImportedFile[]> {
    const { sealer, machine } = this.#deps;
    const hasher = this.#deps.hasher(query.hash);
    if (!sealer.isWanted(query))
      return new Importer({}, { content, hasher }).each(entries, CHANGES_MAX);
    return importEach(entries, CHANGES_MAX, async (name, bytes) => {
      const before = machine.graph.shown(parsePath(query.prefix + name))?.version;
      const sealing = await sealer.sealingFor(query, before, hasher);
      return await new Importer({}, { content, hasher, sealing }).file(bytes);
    });
  }

  /** The version before the shown one: of several, the one that would be shown. */
  #before(path: string): SignedVersion {
    const { graph } = this.#deps.machine;
    const shown = graph.shown(path)!;
    const parents = shown.version.parents
      .map((cid) => graph.get(cid.toString()))
      .filter((parent) => parent !== undefined);
    const before = parents.toSorted(compareShown).at(-1);
    if (before !== undefined) return before;
    throw new AegisError('NOT_FOUND', `there is no version of ${path} before the shown one`, {
      hint: 'See them: aegis kb log',
    });
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

  /** What has become of a version when the caller's wait is over. */
  async #written(
    { signed, created, queued }: OwnVersion,
    waits: Waits,
    deadline: AbortSignal,
  ): Promise<Result<'kb.put'>> {
    const { version } = signed;
    const height = await this.#heightOf(signed, queued, waits, deadline);
    const { wait } = waits;
    const copies = wait === 'local' ? [] : await this.#waitForCopies(signed, waits, deadline);
    const nodes = copies.length > 0 ? copies : this.#holders(version.root);
    return {
      path: version.path,
      cid: version.root.toString(),
      version: signed.cidText,
      kind: version.directory === true ? 'directory' : 'file',
      generation: version.generation,
      sizeBytes: version.sizeBytes,
      replicas: { wanted: this.#wanted(version.root), confirmed: nodes.length, nodes: [...nodes] },
      created,
      wait,
      height,
      intent: queued?.id ?? null,
    };
  }

  async #import(query: Query<'kb.put'>, upload: Upload, lease: ContentLease): Promise<Imported> {
    const hasher = this.#deps.hasher(query.hash);
    const before = this.#deps.machine.graph.shown(parsePath(query.path))?.version;
    const sealing = await this.#deps.sealer.sealingFor(query, before, hasher);
    const importer = new Importer({}, { content: lease, hasher, sealing });
    const imported =
      upload.kind === 'file'
        ? await importer.file(upload.bytes)
        : await importer.directory(upload.entries);
    this.#checkPlaced(query, imported.root);
    await lease.setRoot(imported.root, { ...imported, complete: true });
    return imported;
  }

  /**
   * So that a write follows all that was final before it began. Without a quorum it follows what
   * this node knows, and waits to be decided anyway.
   */
  async #news(deadline: AbortSignal): Promise<void> {
    const { newsMs = NEWS_MS } = this.#options;
    const signal = AbortSignal.any([deadline, timeout(newsMs)]);
    await this.#deps.finality.barrier(signal).catch(() => {});
  }

  /** At which a version became final; null where nobody waits for it, or nobody remembers. */
  async #heightOf(
    signed: SignedVersion,
    queued: Queued | undefined,
    { wait, timeoutMs }: Waits,
    signal: AbortSignal,
  ): Promise<number | null> {
    const { finality } = this.#deps;
    if (queued === undefined) return (await finality.find([signed.cidText]))[0]?.height ?? null;
    if (wait !== 'final') return null;
    try {
      return await finality.wait(queued, signal);
    } catch (error) {
      if (!hasCode(error, 'TIMEOUT')) throw error;
      const name = queued.id.slice(0, ID_SHOWN);
      const message = `the custodians have not decided intent ${name} within ${timeoutMs} ms`;
      throw new AegisError('NOT_FINAL', message, {
        details: { version: signed.cidText, intent: queued.id },
      });
    }
  }

  async #waitForCopies(
    signed: SignedVersion,
    { replicas }: Waits,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    // W2: nobody needs more copies of what is taken away.
    if (signed.version.deleted === true) return [];
    const { minReplicas, custodians } = this.#options;
    const copies = replicas ?? Math.min(minReplicas, custodians());
    try {
      return await this.#deps.copied(signed, copies, signal);
    } catch (error) {
      if (!hasCode(error, 'TIMEOUT')) throw error;
      const confirmed = this.#holders(signed.version.root).length;
      const message = `the version is durable on ${confirmed} of ${copies} nodes`;
      throw new AegisError('UNDER_REPLICATED', message, {
        details: { version: signed.cidText, confirmed, wanted: copies },
      });
    }
  }

  /** @throws {AegisError} `BAD_REQUEST` for more copies than there can ever be. */
  #checkCopies({ replicas, wait }: Waits): void {
    const custodians = this.#options.custodians();
    if (wait === 'local' || replicas === undefined || replicas <= custodians) return;
    const message = `the cluster has ${custodians} nodes and cannot keep ${replicas} copies`;
    throw new AegisError('BAD_REQUEST', message, { hint: 'Ask for fewer: --replicas' });
  }

  /** Only its author and the placed keep a root. @throws {AegisError} `BAD_REQUEST`. */
  #checkPlaced({ replicas, wait }: Waits, root: CID): void {
    if (wait === 'local' || replicas === undefined) return;
    const { placed } = this.#deps.machine.holders(root);
    const most = new Set([this.#options.self, ...placed]).size;
    if (replicas <= most) return;
    const message = `${most} nodes keep this document, so ${replicas} copies will never be`;
    throw new AegisError('BAD_REQUEST', message, { hint: 'Ask for fewer: --replicas' });
  }

  #holders(root: CID): readonly string[] {
    return this.#deps.machine.holders(root).confirmed;
  }

  #wanted(root: CID): number {
    return Math.min(this.#options.replicas, this.#deps.machine.holders(root).placed.length);
  }
}

function checkContent({ cidText, version }: SignedVersion): void {
  if (version.deleted !== true) return;
  throw new AegisError('NOT_FOUND', `the version ${cidText} is a deletion`, {
    hint: `Name another one, or delete the path: aegis kb rm ${version.path}`,
  });
}
