/** One node without a network, whose chain decides when the test says so. */
import { onTestFinished } from 'vitest';
import { AegisError } from '../../../../src/core/errors.ts';
import { Replication, type ReplicationInput } from '../../../../src/core/kb/replication.ts';
import type { VersionGraphOptions } from '../../../../src/core/kb/versions.ts';
import type { LogEntry } from '../../../../src/core/machine.ts';
import { MemoryRows } from '../../../../src/core/memory-rows.ts';
import type { SignedIntent } from '../../../../src/core/model/intent.ts';
import type { Host } from '../../../../src/core/network/host.ts';
import { systemClock } from '../../../../src/core/node/clock.ts';
import { Contents } from '../../../../src/core/node/contents.ts';
import { Fetcher } from '../../../../src/core/node/fetcher.ts';
import { Finality } from '../../../../src/core/node/finality.ts';
import { Finals } from '../../../../src/core/node/finals.ts';
import { IntentDesk } from '../../../../src/core/node/intent-desk.ts';
import type { KbWriter } from '../../../../src/core/node/kb-writer.ts';
import { KB_MACHINE, Knowledge } from '../../../../src/core/node/knowledge.ts';
import { LinearReads } from '../../../../src/core/node/linear-reads.ts';
import { Loop } from '../../../../src/core/node/loop.ts';
import { ObjectReader } from '../../../../src/core/node/object-reader.ts';
import { OwnHistory } from '../../../../src/core/node/own-history.ts';
import type { Log, Metrics } from '../../../../src/core/ports.ts';
import { StagedRows } from '../../../../src/core/staged-rows.ts';
import type { ContentStore } from '../../../../src/core/storage/content-store.ts';
import { createHasher } from '../../../../src/core/storage/hasher.ts';
import { contextOf } from '../../../helpers/names.ts';
import { type Author, authors, keyOfAuthor } from '../../kb/authors.ts';
import { CLUSTER_ID, TestChain } from './test-chain.ts';

export const [ana, bea] = authors as [Author, Author];
export const log: Log = { write: () => {}, child: () => log };
const metrics: Metrics = { count: () => {}, gauge: () => {}, observe: () => {} };

const KEEP = new AbortController().signal;

export interface NodeOptions {
  readonly content: ContentStore;
  /** What the one peer answers; without it there is none. */
  readonly ask?: (nodeId: string) => Uint8Array;
  readonly limits?: VersionGraphOptions;
  readonly pendingMax?: number;
  readonly recordMs?: number;
}

/** The rows that a store would hold. */
export class Rows {
  readonly #rows = new Map<string, Uint8Array>();

  async commit(entries: readonly LogEntry[]): Promise<void> {
    for (const { table, key, value } of entries) {
      if (value === undefined) this.#rows.delete(`${table} ${key}`);
      else this.#rows.set(`${table} ${key}`, value);
    }
  }

  async get(table: string, key: string): Promise<Uint8Array | undefined> {
    return this.#rows.get(`${table} ${key}`);
  }

  async scan(table: string): Promise<{ key: string; value: Uint8Array }[]> {
    const prefix = `${table} `;
    return [...this.#rows]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => ({ key: key.slice(prefix.length), value }));
  }

  async getMany(table: string, keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => this.#rows.get(`${table} ${key}`));
  }
}

type Hasher = Awaited<ReturnType<typeof createHasher>>;

export class TestNode {
  readonly written: LogEntry[] = [];
  readonly #disk = new MemoryRows();
  /** W41 */
  readonly rows = new StagedRows(this.#disk);
  readonly machine: Replication;
  readonly knowledge: Knowledge;
  readonly chain = new TestChain(ana.nodeId);
  readonly desk: IntentDesk;
  readonly finality: Finality;
  readonly finals: Finals;
  readonly reads: LinearReads;
  sealed: number | undefined;
  /** The same key for every epoch; undefined: out of reach. */
  readonly author = {
    keyEpoch: 0,
    isAway: false,
    signer: () => {
      if (this.author.isAway) throw new AegisError('SIGNER_UNREACHABLE', 'the signer is away');
      return ana.signer;
    },
    signed: async <T>(make: () => T | Promise<T>): Promise<T> => make(),
  };
  readonly #loop: Loop;
  isFull = false;

  static async make(options: NodeOptions): Promise<TestNode> {
    const finals = await Finals.open(new Rows());
    const node = new TestNode(options, await createHasher('blake3'), finals);
    onTestFinished(() => node.#loop.stop());
    return node;
  }

  private constructor(options: NodeOptions, hasher: Hasher, finals: Finals) {
    const { content, ask, limits = {}, pendingMax = 100, recordMs } = options;
    const self = ana.nodeId;
    this.machine = new Replication(
      {
        nodeId: self,
        members: [{ nodeId: self, weight: 100, zone: 'a' }],
        replicas: 1,
        minReplicas: 1,
        limits,
      },
      { keyOf: keyOfAuthor },
      this.rows,
    );
    const { graph } = this.machine;
    const { chain } = this;
    const submit = (input: unknown) => void this.#loop.submit('chain', input);
    this.finals = finals;
    this.desk = new IntentDesk(
      { self, ...contextOf(CLUSTER_ID), pendingMax },
      { chain, author: this.author, submit, receipt: async (id) => chain.receipt(id) },
    );
    this.reads = new LinearReads({ height: () => chain.height, submit });
    this.finality = new Finality(
      {
        ...{ chain, desk: this.desk, finals, reads: this.reads, graph },
        record: (version, signal) => this.knowledge.record(version, signal),
      },
      recordMs === undefined ? {} : { recordMs },
    );
    const host = {
      handle: () => {},
      peers: () => (ask === undefined ? [] : [{ nodeId: bea.nodeId }]),
      peer: () => undefined,
      request: async (nodeId: string) => ask!(nodeId),
    } as unknown as Host;
    const mend = async () => {};
    this.knowledge = new Knowledge(
      { self, minReplicas: 1, replicas: 1, custodians: () => 4 },
      {
        machine: this.machine,
        content,
        fetcher: new Fetcher({ content, host, hashers: () => hasher, log, metrics }),
        contents: new Contents({
          reader: new ObjectReader({ content, log, metrics, mend }),
          keys: { among: () => [], nameOf: (recipient) => recipient },
        }),
        space: { explain: (error) => error, checkRoom: () => {} },
        sealing: {
          keys: { inForce: '' },
          isDefault: false,
          find: () => {
            throw new Error('nobody is looked for');
          },
          group: () => undefined,
        },
        finality: this.finality,
        history: new OwnHistory(
          {
            self,
            keyOf: () => ana.signer.publicKey,
            quorum: () => 1,
            marker: '/nonexistent/marker',
          },
          { host, graph, log },
        ),
        author: this.author,
        sealed: () => this.sealed,
        pace: { take: async () => {} },
        fetchFailed: () => {},
        hasher: () => hasher,
        log,
        peers: () => [],
        submit: (input) => void this.#loop.submit(KB_MACHINE, input),
        changed: () => {},
        checkMayWrite: async () => {},
      },
    );
    this.#loop = this.#makeLoop();
  }

  #makeLoop(): Loop {
    const loop = new Loop(
      { fullDiskRetryMs: 5 },
      {
        clock: systemClock(),
        log,
        metrics,
        stage: (entries) => this.rows.stage(entries),
        commit: async (entries) => this.#commit(entries),
        send: () => {},
        tell: (machine, outcome) => {
          if (machine === KB_MACHINE) this.knowledge.tell(outcome);
          else this.#decided(outcome as Parameters<IntentDesk['tell']>[0]);
        },
        blocked: (error) => this.knowledge.fail(error),
        fatal: (error) => {
          throw error;
        },
      },
    );
    const alarm = (key: string): ReplicationInput => ({ type: 'alarm', key });
    loop.register('chain', this.chain, (key) => ({ type: 'alarm', key }) as const);
    loop.register<ReplicationInput>(KB_MACHINE, this.machine, alarm);
    return loop;
  }

  /** What `ChainDesk` does. */
  #decided(outcome: Parameters<IntentDesk['tell']>[0]): void {
    const replaced = this.desk.tell(outcome);
    if (outcome.type === 'finalised') {
      this.finals.learn(outcome);
      this.finals.withdraw(replaced, outcome.height);
    }
    this.reads.tell(outcome);
  }

  #commit(entries: readonly LogEntry[]): void {
    if (this.isFull) throw new AegisError('DISK_FULL', 'full');
    this.written.push(...entries);
    this.#disk.apply(entries);
  }

  /** A2: the identity key has changed; what waits is to be signed anew. */
  retire(): void {
    this.author.keyEpoch += 1;
    this.#loop.submit('chain', { type: 'retire' });
  }

  /** Decides what waits, after intents of others. */
  decide(...intents: SignedIntent[]): void {
    this.#loop.submit('chain', { type: 'decide', intents });
  }

  /** The knowledge base hears of a version of somebody else. */
  hear(input: ReplicationInput): void {
    this.#loop.submit(KB_MACHINE, input);
  }

  put(path: string, bytes: Uint8Array, more: object = {}) {
    const upload = { kind: 'file' as const, bytes: stream(bytes) };
    const query = { path, hash: 'blake3', wait: 'local', timeoutMs: 5000, ...more };
    return this.knowledge.writer.put(query as unknown as Parameters<KbWriter['put']>[0], upload, {
      signal: KEEP,
    } as Parameters<KbWriter['put']>[2]);
  }

  /** The content of a path, and whether it is final. */
  async get(path: string, more: object = {}) {
    const waits = { timeoutMs: 5000, linearizable: false, provisional: false, strict: false };
    const query = { path, ...waits, ...more };
    const context = { signal: KEEP } as Parameters<Knowledge['get']>[1];
    const download = await this.knowledge.get(query, context);
    if (download.kind !== 'file') throw new Error('not a file');
    const parts: Uint8Array[] = [];
    for await (const part of download.bytes) parts.push(part);
    const { final, height, version } = download;
    return { text: Buffer.concat(parts).toString(), final, height, version };
  }
}

async function* stream(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
