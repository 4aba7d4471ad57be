/** The local API of the nodes of a cluster, without a process for each call. */
import { readFileSync } from 'node:fs';
import { Client } from '../../../src/core/api/client/client.ts';
import type { Result } from '../../../src/core/api/contract/endpoints.ts';
import { AegisError, hasCode } from '../../../src/core/errors.ts';
import { type Cluster, eventually } from './cluster.ts';

export type Status = Result<'consensus.status'>;

/** A daemon has a new token after each start, so a client lives for one call. */
export function clientOf(cluster: Cluster, node: number, timeoutMs = 10_000): Client {
  const { socket, adminToken } = cluster.home(node);
  let token = 'none';
  try {
    token = readFileSync(adminToken, 'utf8').trim();
  } catch {
    // It does not run, which the call itself will say.
  }
  return new Client({ socket, token, timeoutMs });
}

export const statusOf = (cluster: Cluster, node: number): Promise<Status> =>
  clientOf(cluster, node).call('consensus.status');

/** A paused daemon answers nobody; whoever calls it hangs up after a while. */
function hangUpAfter(timeoutMs: number): AbortSignal {
  const controller = new AbortController();
  const late = new AegisError('TIMEOUT', `the test hung up after ${timeoutMs} ms`);
  setTimeout(() => controller.abort(late), timeoutMs).unref();
  return controller.signal;
}

const GRACE_MS = 1000;

export interface PutOptions {
  /** The version that must be there, or `none`. */
  readonly ifVersion?: string;
  /** @default 20 000 */
  readonly timeoutMs?: number;
}

/** Puts a short document; resolves when it is final, and asks for no copies elsewhere. */
export async function putFinal(
  cluster: Cluster,
  node: number,
  path: string,
  text: string,
  { ifVersion, timeoutMs = 20_000 }: PutOptions = {},
): Promise<Result<'kb.put'>> {
  const query = { path, wait: 'final', replicas: 1, timeoutMs } as const;
  async function* bytes() {
    yield Buffer.from(text);
  }
  return await clientOf(cluster, node).put(
    { ...query, ...(ifVersion === undefined ? {} : { ifVersion }) },
    { kind: 'file', bytes: bytes() },
    { signal: hangUpAfter(timeoutMs + GRACE_MS) },
  );
}

/** Moves one path by a bare intent, if `expected` is there. */
export async function swapFinal(
  cluster: Cluster,
  node: number,
  change: { path: string; version: string; expected: string | null },
  timeoutMs: number,
): Promise<Result<'intents.submit'>['intents'][number]> {
  const parents = change.expected === null ? [] : [change.expected];
  const { intents } = await clientOf(cluster, node).call('intents.submit', {
    body: { intents: [{ changes: [{ ...change, parents }] }], wait: 'final', timeoutMs },
    signal: hangUpAfter(timeoutMs + GRACE_MS),
  });
  return intents[0]!;
}

export interface Document {
  readonly text: string;
  readonly version: string;
}

/** What a quorum holds final under a path. @throws {AegisError} `NOT_FOUND` for nothing. */
export async function readLinearizable(
  cluster: Cluster,
  node: number,
  path: string,
  timeoutMs = 8000,
): Promise<Document> {
  const query = { path, linearizable: true, timeoutMs };
  const { bytes, version } = await content(cluster, node, query);
  return { text: bytes.toString(), version };
}

/** What a node shows under a path, fetched from others if it must be. */
export async function readBytes(cluster: Cluster, node: number, path: string): Promise<Buffer> {
  return (await content(cluster, node, { path, timeoutMs: 30_000 })).bytes;
}

async function content(
  cluster: Cluster,
  node: number,
  query: { path: string; linearizable?: boolean; timeoutMs: number },
): Promise<{ bytes: Buffer; version: string }> {
  const signal = hangUpAfter(query.timeoutMs + GRACE_MS);
  const reply = await clientOf(cluster, node).content(query, { signal });
  const parts: Uint8Array[] = [];
  for await (const part of reply.bytes) parts.push(part);
  return { bytes: Buffer.concat(parts), version: reply.version };
}

/** Until the node holds the last version of a path, and holds it final. */
export async function untilFinal(cluster: Cluster, node: number, path: string): Promise<void> {
  const stat = async () => {
    try {
      return (await clientOf(cluster, node).call('kb.stat', { query: { path } })).final;
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return false;
      throw error;
    }
  };
  await eventually(stat, (isFinal) => isFinal, `${path} is final on node ${node}`);
}
