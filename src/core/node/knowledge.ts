/**
 * The knowledge base of a running node: takes documents in, gives them out, and carries out what
 * the replication machine decides. What a version is and who holds what, `kb/` says.
 */
import type { CID } from 'multiformats/cid';
import type { CallContext, Download, Upload } from '../api/backend.ts';
import type { Query, Result } from '../api/contract/endpoints.ts';
import { AegisError, hasCode, toAegisError } from '../errors.ts';
import { LIMITS } from '../kb/limits.ts';
import type { Replication, ReplicationInput, ReplicationOutcome } from '../kb/replication.ts';
import type { Outcome } from '../machine.ts';
import { parsePath } from '../model/path.ts';
import { createVersion, type SignedVersion } from '../model/version.ts';
import type { Hasher, Log, LogLevel, Signer } from '../ports.ts';
import type { ContentStore } from '../storage/content-store.ts';
import { MIB, SECOND } from '../units.ts';
import { Exporter } from './export.ts';
import type { Fetcher } from './fetcher.ts';
import { type Imported, Importer } from './import.ts';
import type { ObjectReader } from './object-reader.ts';
import type { OwnHistory } from './own-history.ts';
import { type Reference, resolveReference } from './reference.ts';
import { Waiting } from './waiting.ts';

export const KB_MACHINE = 'kb';

export interface KnowledgeOptions {
  /** Node id of this node. */
  readonly self: string;
  /** Copies that `--wait replicated` waits for when the caller names no number. */
  readonly minReplicas: number;
  /** Copies that the placement asks for. */
  readonly replicas: number;
  /** Nodes of the cluster. */
  readonly custodians: number;
}

export interface KnowledgeDeps {
  readonly machine: Replication;
  readonly content: ContentStore;
  readonly fetcher: Fetcher;
  readonly reader: ObjectReader;
  readonly history: OwnHistory;
  readonly identity: Signer;
  readonly hasher: (name: Hasher['name']) => Hasher;
  readonly log: Log;
  /** Node ids that are connected now. */
  peers(): readonly string[];
  submit(input: ReplicationInput): void;
  /** What is shown under a path has changed. */
  changed(path: string): void;
}

const QUIET_MS = 10 * SECOND;

type FetchWanted = Extract<ReplicationOutcome, { type: 'fetchWanted' }>;

interface Copies {
  readonly copies: number;
  readonly nodes: readonly string[];
}

export class Knowledge {
  readonly #options: KnowledgeOptions;
  readonly #deps: KnowledgeDeps;
  readonly #added = new Waiting<SignedVersion>();
  readonly #replicated = new Waiting<Copies>();
  readonly #never = new AbortController().signal;
  /** Versions of this node are made one after another: each has the next sequence number. */
  #lastWrite: Promise<unknown> = Promise.resolve();
  /** By member and fault, both few. */
  readonly #complaints = new Map<string, { until: number; unsaid: number }>();
  /** The version that was given to the machine last. */
  #lastLocal: SignedVersion | undefined;

  constructor(options: KnowledgeOptions, deps: KnowledgeDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Carries out what the machine has decided. */
  tell(outcome: Outcome): void {
    const decided = outcome as ReplicationOutcome;
    switch (decided.type) {
      case 'version-added':
        this.#added.tell(decided.version.cidText, decided.version);
        if (decided.version.cidText === this.#lastLocal?.cidText) this.#lastLocal = undefined;
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
        this.#complain('error', 'a node has signed two versions as one', author, fields);
        return;
      }
      case 'refused': {
        const { from, error } = decided;
        // Own versions are made one at a time, so it is the one that waits.
        if (from === this.#options.self) {
          this.#lastLocal = undefined;
          this.#added.fail(error);
        }
        const fields = { from, code: error.code, reason: error.message };
        this.#complain('warn', 'refused a message of a peer', `${from} ${error.code}`, fields);
      }
    }
  }

  /** A flood of faults must not become a flood of lines that drives out all others. */
  #complain(level: LogLevel, message: string, key: string, fields: Record<string, unknown>): void {
    const now = performance.now();
    const last = this.#complaints.get(key) ?? { until: 0, unsaid: 0 };
    this.#complaints.set(key, last);
    if (now < last.until) {
      last.unsaid += 1;
      return;
    }
    this.#deps.log.write(level, message, { ...fields, repeated: last.unsaid });
    this.#complaints.set(key, { until: now + QUIET_MS, unsaid: 0 });
  }

  /** Ends all waits: the disk takes nothing now, or the node stops. What is queued stays queued. */
  fail(error: AegisError): void {
    this.#added.fail(error);
    this.#replicated.fail(error);
  }

  async put(
    query: Query<'kb.put'>,
    upload: Upload,
    { signal }: CallContext,
  ): Promise<Result<'kb.put'>> {
    const path = parsePath(query.path);
    this.#checkCopies(query);
    const deadline = AbortSignal.any([signal, timeout(query.timeoutMs)]);
    this.#checkExpected(path, query.ifVersion);
    const hasher = this.#deps.hasher(query.hash);
    const importer = new Importer({}, { content: this.#deps.content, hasher });
    const imported =
      upload.kind === 'file'
        ? await importer.file(upload.bytes)
        : await importer.directory(upload.entries);
    this.#checkPlaced(query, imported.root);
    await this.#deps.content.setRoot(imported.root, { ...imported, complete: true });
    const { signed, created } = await this.#inTurn(() =>
      this.#write(path, upload.kind, imported, query),
    );
    const copies =
      query.wait === 'replicated' ? await this.#waitForCopies(signed, query, deadline) : [];
    const nodes = copies.length > 0 ? copies : this.#holders(imported.root);
    return {
      path,
      cid: imported.root.toString(),
      version: signed.cidText,
      kind: upload.kind,
      generation: signed.version.generation,
      sizeBytes: imported.sizeBytes,
      replicas: { wanted: this.#wanted(imported.root), confirmed: nodes.length, nodes: [...nodes] },
      created,
      wait: query.wait,
    };
  }

  async get(query: Query<'kb.get'>, { signal }: CallContext): Promise<Download> {
    const reference = resolveReference(this.#deps.machine.graph, query.path);
    const { signed, inside } = reference;
    const { root } = signed.version;
    const deadline = AbortSignal.any([signal, timeout(query.timeoutMs)]);
    await this.#complete(reference, deadline);
    const exporter = new Exporter({ read: this.#deps.reader.below(root, signal) });
    const at = await exporter.resolve(root, inside);
    const content = await exporter.open(at);
    const sizeBytes = content.kind === 'file' ? content.sizeBytes : signed.version.sizeBytes;
    const path = [signed.version.path, ...inside].join('/');
    const facts = { path, cid: at.toString(), version: signed.cidText, sizeBytes };
    return { ...facts, ...content };
  }

  /** Makes a root complete in the own store again: called when an object of it is bad or gone. */
  async mend(root: CID, signal: AbortSignal | undefined): Promise<void> {
    this.#deps.submit({ type: 'lost', root });
    await this.#deps.fetcher.fetch({ root, sources: this.sources(root), ...withSignal(signal) });
    this.#deps.submit({ type: 'stored', root });
  }

  /** Connected nodes that may have a root, the likeliest first. */
  sources(root: CID): string[] {
    const connected = new Set(this.#deps.peers());
    const likely = this.#deps.machine.sources(root);
    return [...new Set([...likely, ...connected])].filter((nodeId) => connected.has(nodeId));
  }

  async #write(
    path: string,
    kind: Upload['kind'],
    imported: Imported,
    query: Query<'kb.put'>,
  ): Promise<{ signed: SignedVersion; created: boolean }> {
    await this.#deps.history.check();
    this.#checkExpected(path, query.ifVersion);
    const { graph } = this.#deps.machine;
    const shown = graph.shown(path);
    if (shown?.version.root.equals(imported.root) && shown.version.deleted !== true) {
      // The same content again changes nothing, so that repeating a command is harmless.
      this.#deps.submit({ type: 'stored', root: imported.root });
      await this.#waitUntilDurable(shown);
      return { signed: shown, created: false };
    }
    this.#checkLast();
    const { root, sizeBytes } = imported;
    const { self } = this.#options;
    const signed = createVersion(
      {
        path,
        root,
        sizeBytes,
        parents: shown === undefined ? [] : [shown.cid],
        generation: (shown?.version.generation ?? 0) + 1,
        sequence: graph.nextSequence(self),
        time: Math.max(Date.now(), shown?.version.time ?? 0),
        author: self,
        ...(query.message === undefined ? {} : { message: query.message }),
        ...(kind === 'directory' ? { directory: true } : {}),
      },
      this.#deps.identity,
    );
    // Waits even for a caller that has gone: the next version needs to know that this one is in.
    const added = this.#added.wait(signed.cidText, () => true, this.#never);
    this.#lastLocal = signed;
    this.#deps.submit({ type: 'local', version: signed });
    await added;
    return { signed, created: true };
  }

  /** The graph knows a version a little before the disk does. */
  async #waitUntilDurable(signed: SignedVersion): Promise<void> {
    const durable = this.#replicated.wait(signed.cidText, () => true, this.#never);
    // Answered once the facts before it are durable: one copy is here.
    this.#deps.submit({ type: 'want', version: signed.cidText, copies: 1 });
    await durable;
  }

  /** Two versions must not be numbered alike. @throws {AegisError} `TRY_AGAIN`. */
  #checkLast(): void {
    const last = this.#lastLocal;
    if (last === undefined || this.#deps.machine.graph.get(last.cidText) !== undefined) return;
    throw new AegisError('TRY_AGAIN', 'an earlier version still waits to be written');
  }

  async #waitForCopies(
    signed: SignedVersion,
    query: Query<'kb.put'>,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const copies = query.replicas ?? this.#options.minReplicas;
    const enough = this.#replicated.wait(signed.cidText, (seen) => seen.copies >= copies, signal);
    this.#deps.submit({ type: 'want', version: signed.cidText, copies });
    try {
      return (await enough).nodes;
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
  #checkCopies({ replicas, wait }: Query<'kb.put'>): void {
    const { custodians } = this.#options;
    if (wait !== 'replicated' || replicas === undefined || replicas <= custodians) return;
    const message = `the cluster has ${custodians} nodes and cannot keep ${replicas} copies`;
    throw new AegisError('BAD_REQUEST', message, { hint: 'Ask for fewer: --replicas' });
  }

  /** Only its author and the placed keep a root. @throws {AegisError} `BAD_REQUEST`. */
  #checkPlaced({ replicas, wait }: Query<'kb.put'>, root: CID): void {
    if (wait !== 'replicated' || replicas === undefined) return;
    const { placed } = this.#deps.machine.holders(root);
    const most = new Set([this.#options.self, ...placed]).size;
    if (replicas <= most) return;
    const message = `${most} nodes keep this document, so ${replicas} copies will never be`;
    throw new AegisError('BAD_REQUEST', message, { hint: 'Ask for fewer: --replicas' });
  }

  /** @throws {AegisError} `EXISTS` when the path shows another version than was expected. */
  #checkExpected(path: string, expected: string | undefined): void {
    if (expected === undefined) return;
    const shown = this.#deps.machine.graph.shown(path);
    const found = shown === undefined || shown.version.deleted ? 'none' : shown.cidText;
    if (found === expected) return;
    throw new AegisError('EXISTS', `${path} shows ${found}, not ${expected}`, {
      hint: 'Read it again, and decide again. See: aegis kb log',
      details: { found, expected },
    });
  }

  async #complete({ signed }: Reference, signal: AbortSignal): Promise<void> {
    const { root, sizeBytes } = signed.version;
    const known = await this.#deps.content.root(root);
    if (known?.complete === true) return;
    const maxBytes = objectBytesMax(sizeBytes);
    const sources = this.sources(root);
    await this.#deps.fetcher.fetch({ root, sources, maxBytes, signal });
    await this.#deps.content.setRoot(root, { sizeBytes, complete: true });
    this.#deps.submit({ type: 'stored', root });
  }

  /** What the placement wants here. */
  async #replicate({ root, sizeBytes, sources }: FetchWanted): Promise<void> {
    try {
      const all = [...new Set([...sources, ...this.sources(root)])];
      const maxBytes = objectBytesMax(sizeBytes);
      await this.#deps.fetcher.fetch({ root, sources: all, maxBytes });
      await this.#deps.content.setRoot(root, { sizeBytes, complete: true });
      this.#deps.submit({ type: 'stored', root });
    } catch (error) {
      const { code, message } = toAegisError(error);
      const fields = { root: root.toString(), code, reason: message };
      this.#deps.log.write('info', 'a root could not be fetched yet', fields);
      this.#deps.submit({ type: 'fetch-failed', root });
    }
  }

  #holders(root: CID): readonly string[] {
    return this.#deps.machine.holders(root).confirmed;
  }

  #wanted(root: CID): number {
    return Math.min(this.#options.replicas, this.#deps.machine.holders(root).placed.length);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#lastWrite.then(work, work);
    this.#lastWrite = result.catch(() => {});
    return result;
  }
}

/** The objects of a document are its content and, at most as long again, the nodes above it. */
const objectBytesMax = (sizeBytes: number): number =>
  Math.min(2 * sizeBytes + 64 * MIB, LIMITS.rootBytes);

const withSignal = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal });

/** Like `AbortSignal.timeout`, with an error that an operator can read. */
function timeout(ms: number): AbortSignal {
  const controller = new AbortController();
  const reason = () => controller.abort(new AegisError('TIMEOUT', `not done within ${ms} ms`));
  setTimeout(reason, ms).unref();
  return controller.signal;
}
