/**
 * What an engine has for sealed contents (docs/knowledge-base.md, "Confidential"), put together:
 * the keys with which it reads, the door through which contents are opened, who sees to the keys of
 * the readers, and who destroys keys. It decides nothing itself.
 */
import type { CID } from 'multiformats/cid';
import type { Roster } from '../chain/roster.ts';
import type { Replication } from '../kb/replication.ts';
import type { Keystore } from '../keys/keystore.ts';
import type { Genesis } from '../model/genesis.ts';
import { READERS_PREFIX } from '../model/readers.ts';
import type { Log } from '../ports.ts';
import type { ContentStore } from '../storage/content-store.ts';
import { SECOND } from '../units.ts';
import { Contents } from './contents.ts';
import type { Knowledge } from './knowledge.ts';
import type { ObjectReader } from './object-reader.ts';
import { ReadersDesk, type ReadersDeskDeps } from './readers-desk.ts';
import { OwnReadingKeys } from './reading-keys.ts';
import { Shredder, type ShredderDeps } from './shredder.ts';
import { timeout } from './timeout.ts';

const READ_MS = 30 * SECOND;
const WRITE_MS = 30 * SECOND;

export interface ConfidentialDeps
  extends Pick<ShredderDeps, 'decided'>,
    Pick<ReadersDeskDeps, 'self' | 'isWriting'> {
  /** There once anything is read or written. */
  knowledge(): Knowledge;
  readonly genesis: Genesis;
  readonly keystore: Keystore;
  readonly roster: Roster;
  readonly reader: ObjectReader;
  readonly machine: Replication;
  readonly content: ContentStore;
  readonly log: Log;
}

export class Confidential {
  readonly keys: OwnReadingKeys;
  readonly contents: Contents;
  readonly #shredder: Shredder;
  readonly #desk: ReadersDesk;

  constructor({ genesis, keystore, roster, reader, knowledge, ...deps }: ConfidentialDeps) {
    this.keys = new OwnReadingKeys({ nameKey: genesis.names.key, roster, keystore });
    this.contents = new Contents({ reader, keys: this.keys });
    this.#shredder = new Shredder({ ...deps, contents: this.contents });
    this.#desk = new ReadersDesk({
      ...{ ...deps, roster, keys: this.keys, graph: deps.machine.graph },
      read: (root, sizeBytes) => readWhole(knowledge(), root, sizeBytes),
      write: (path, bytes) => writePlain(knowledge(), path, bytes),
    });
  }

  start(): void {
    this.#shredder.start();
    this.#desk.start();
  }

  stop(): void {
    this.#desk.stop();
  }

  /** Who is a member, or with which keys, may have changed. */
  membersChanged(): void {
    this.#desk.look();
  }

  /** Something of these paths has become final. */
  final(paths: readonly string[]): void {
    for (const path of paths) this.#shredder.touched(path);
    if (paths.some((path) => path.startsWith(READERS_PREFIX))) this.#desk.look();
  }
}

async function readWhole(knowledge: Knowledge, root: CID, sizeBytes: number): Promise<Uint8Array> {
  const signal = timeout(READ_MS);
  const exporter = await knowledge.contents(root, sizeBytes, signal);
  const content = await exporter.open(root);
  const parts: Uint8Array[] = [];
  if (content.kind === 'file') for await (const part of content.bytes) parts.push(part);
  return Buffer.concat(parts);
}

async function writePlain(knowledge: Knowledge, path: string, bytes: Uint8Array): Promise<void> {
  const upload = async function* () {
    yield bytes;
  };
  await knowledge.writer.put(
    { path, plain: true, wait: 'local', timeoutMs: WRITE_MS, hash: 'blake3' },
    { kind: 'file', bytes: upload() },
    { signal: timeout(WRITE_MS), scope: 'admin' },
  );
}
