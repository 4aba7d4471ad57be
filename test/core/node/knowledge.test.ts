/** What `put` promises: nothing is said before it is durable, and every put comes to an end. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AegisError } from '../../../src/core/errors.ts';
import { Replication, type ReplicationInput } from '../../../src/core/kb/replication.ts';
import { TABLES } from '../../../src/core/kb/replication-entries.ts';
import { VersionGraph } from '../../../src/core/kb/versions.ts';
import type { LogEntry } from '../../../src/core/machine.ts';
import type { Host } from '../../../src/core/network/host.ts';
import { systemClock } from '../../../src/core/node/clock.ts';
import { Fetcher } from '../../../src/core/node/fetcher.ts';
import { KB_MACHINE, Knowledge } from '../../../src/core/node/knowledge.ts';
import { Loop } from '../../../src/core/node/loop.ts';
import { ObjectReader } from '../../../src/core/node/object-reader.ts';
import { OwnHistory } from '../../../src/core/node/own-history.ts';
import type { Log, Metrics } from '../../../src/core/ports.ts';
import { ContentStore } from '../../../src/core/storage/content-store.ts';
import { createHasher } from '../../../src/core/storage/hasher.ts';
import { authors, keyOfAuthor, versionOf } from '../kb/authors.ts';

const [ana, bea] = authors as [(typeof authors)[0], (typeof authors)[0]];
const log: Log = { write: () => {}, child: () => log };
const metrics: Metrics = { count: () => {}, gauge: () => {}, observe: () => {} };

type Ask = (nodeId: string) => Uint8Array;

/** One node without a network; its peers answer what `ask` says, its facts go to `written`. */
class Node {
  readonly written: LogEntry[] = [];
  readonly machine: Replication;
  readonly knowledge: Knowledge;
  readonly #loop: Loop;
  isFull = false;

  static async make(content: ContentStore, ask?: Ask, graph = new VersionGraph()): Promise<Node> {
    const hasher = await createHasher('blake3');
    return new Node(content, hasher, graph, ask);
  }

  private constructor(
    content: ContentStore,
    hasher: Awaited<ReturnType<typeof createHasher>>,
    graph: VersionGraph,
    ask: Ask | undefined,
  ) {
    const self = ana.nodeId;
    const members = [{ nodeId: self, weight: 100, zone: 'a' }];
    const recovered = { graph, roots: [], confirmed: new Map() };
    this.machine = new Replication(
      { nodeId: self, members, replicas: 1, minReplicas: 1 },
      { keyOf: keyOfAuthor },
      recovered,
    );
    const host = {
      handle: () => {},
      peers: () => (ask === undefined ? [] : [{ nodeId: bea.nodeId }]),
      request: async (nodeId: string) => ask!(nodeId),
    } as unknown as Host;
    const fetcher = new Fetcher({ content, host, hashers: () => hasher, log, metrics });
    const mend = async () => {};
    const reader = new ObjectReader({ content, log, metrics, mend });
    const identityKey = ana.signer.publicKey;
    const history = new OwnHistory(
      { self, identityKey, quorum: 1, marker: '/nonexistent/marker' },
      { host, graph: this.machine.graph, log },
    );
    this.#loop = new Loop(
      { fullDiskRetryMs: 5 },
      {
        clock: systemClock(),
        log,
        metrics,
        commit: async (entries) => this.#commit(entries),
        send: () => {},
        tell: (_, outcome) => this.knowledge.tell(outcome),
        blocked: (error) => this.knowledge.fail(error),
        fatal: (error) => expect(error).toBeUndefined(),
      },
    );
    this.knowledge = new Knowledge(
      { self, minReplicas: 1, replicas: 1, custodians: 4 },
      {
        machine: this.machine,
        content,
        fetcher,
        reader,
        history,
        identity: ana.signer,
        hasher: () => hasher,
        log,
        peers: () => [],
        submit: (input) => void this.#loop.submit(KB_MACHINE, input),
        changed: () => {},
      },
    );
    this.#loop.register<ReplicationInput>(KB_MACHINE, this.machine, (key) => ({
      type: 'alarm',
      key,
    }));
  }

  #commit(entries: readonly LogEntry[]): void {
    if (this.isFull) throw new AegisError('DISK_FULL', 'full');
    this.written.push(...entries);
  }

  put(path: string, bytes: Uint8Array, more: object = {}) {
    const upload = { kind: 'file' as const, bytes: stream(bytes) };
    const query = { path, hash: 'blake3', wait: 'local', timeoutMs: 5000, ...more };
    const { signal } = new AbortController();
    return this.knowledge.put(query as unknown as Parameters<Knowledge['put']>[0], upload, {
      signal,
    } as Parameters<Knowledge['put']>[2]);
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }
}

async function* stream(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

let dir: string;
let content: ContentStore;
let node: Node | undefined;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-knowledge-'));
  content = await ContentStore.open(join(dir, 'content.db'), { log });
});
afterEach(async () => {
  await node?.stop();
  await content.close();
  rmSync(dir, { recursive: true, force: true });
});

test('the same content again is not acknowledged before its version is durable', async () => {
  node = await Node.make(content);
  const bytes = randomBytes(100);
  node.isFull = true;
  await expect(node.put('a', bytes)).rejects.toMatchObject({ code: 'DISK_FULL' });
  // The graph shows the version by now; the disk does not have it.
  expect(node.machine.graph.shown('a')).toBeDefined();
  await expect(node.put('a', bytes)).rejects.toMatchObject({ code: 'DISK_FULL' });
  node.isFull = false;
  const { version, created } = await node.put('a', bytes);
  expect(created).toBe(false);
  const durable = node.written.filter(({ table }) => table === TABLES.versions);
  expect(durable.map(({ key }) => key)).toEqual([version]);
});

test('a put that the graph has no room for fails, and so does not hold up the next', async () => {
  const graph = new VersionGraph({ maxVersions: 1 });
  graph.add(versionOf(bea, { path: 'b', sequence: 1 }));
  node = await Node.make(content, undefined, graph);
  await expect(node.put('a', randomBytes(10))).rejects.toMatchObject({ code: 'BUSY' });
  await expect(node.put('c', randomBytes(10))).rejects.toMatchObject({ code: 'BUSY' });
});

test('a peer that claims versions of this node has to prove them', async () => {
  const forged = versionOf(bea, { path: 'x', sequence: 9_000_000, author: bea.nodeId });
  node = await Node.make(content, () => forged.bytes);
  await expect(node.put('a', randomBytes(10))).resolves.toMatchObject({ created: true });
});

test('a node that lacks a version of its own does not write until it has it back', async () => {
  const own = versionOf(ana, { path: 'x', sequence: 1 });
  node = await Node.make(content, () => own.bytes);
  await expect(node.put('a', randomBytes(10))).rejects.toMatchObject({ code: 'TRY_AGAIN' });
  node.machine.graph.add(own);
  await expect(node.put('a', randomBytes(10))).resolves.toMatchObject({ created: true });
});

test('a wait for copies that can never be is refused at once', async () => {
  node = await Node.make(content);
  const two = { wait: 'replicated', replicas: 2 };
  await expect(node.put('a', randomBytes(10), two)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  const one = { wait: 'replicated', replicas: 1 };
  await expect(node.put('a', randomBytes(10), one)).resolves.toMatchObject({ created: true });
});
