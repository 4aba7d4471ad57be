/** What the tests of the stores share: homes that vanish, a log that is kept, blocks. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CID } from 'multiformats/cid';
import { decode } from 'multiformats/hashes/digest';
import { onTestFinished } from 'vitest';
import type { Log } from '../../../../src/core/ports.ts';
import { ChainStore } from '../../../../src/core/storage/chain-store.ts';
import { type Block, ContentStore } from '../../../../src/core/storage/content-store.ts';
import type { OpenOptions } from '../../../../src/core/storage/database.ts';
import { createHashers, multihashOf } from '../../../../src/core/storage/multihash.ts';
import type { StandingOptions } from '../../../../src/core/storage/standing.ts';

const hashers = await createHashers();

export const silentLog: Log = { write: () => undefined, child: () => silentLog };

export async function scratch(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'aegis-store-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** A store that closes with the test. Anything fatal fails the test. */
export async function openContent(path: string, options: OpenOptions = {}): Promise<ContentStore> {
  const store = await ContentStore.open(path, { log: silentLog }, options);
  onTestFinished(() => store.close());
  return store;
}

export async function openChain(
  path: string,
  options: OpenOptions & StandingOptions = {},
): Promise<ChainStore> {
  const store = await ChainStore.open(path, { log: silentLog }, options);
  onTestFinished(() => store.close());
  return store;
}

export const blockOf = (bytes: Uint8Array, hash: 'blake3' | 'sha2-256' = 'blake3'): Block => ({
  cid: CID.createV1(0x55, decode(multihashOf(hashers[hash], bytes))),
  bytes,
});

export const randomBlock = (sizeBytes: number): Block =>
  blockOf(new Uint8Array(randomBytes(sizeBytes)));
