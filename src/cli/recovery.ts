/**
 * What the commands share that let a cluster go on after it has lost its quorum (docs/keys.md, R1
 * and R2). They work on the files of homes that are stopped.
 */
import type { RecoveryView } from '../core/api/contract/cluster.ts';
import type { OriginFile } from '../core/chain/origin-file.ts';
import type { HomePaths } from '../core/config/home.ts';
import { AegisError } from '../core/errors.ts';
import { statIfPresent } from '../core/files.ts';
import type { Recovery } from '../core/model/bundle.ts';
import { GENESIS_BYTES_MAX, type Genesis, type Origin } from '../core/model/genesis.ts';
import type { Log } from '../core/ports.ts';
import { HomeLock } from '../core/storage/home-lock.ts';
import { ownGenesis } from './cluster.ts';
import { readDocument } from './documents.ts';

export const describeRecovery = ({ clusterId, height, stateRoot }: Recovery): RecoveryView => ({
  clusterId,
  height,
  stateRoot: Buffer.from(stateRoot).toString('hex'),
});

/** As people hand it on, and `cluster bundle --recover` reads it. */
export const recoveryText = ({ clusterId, height, stateRoot }: RecoveryView): string =>
  `${clusterId}:${height}:${stateRoot}`;

/** @throws {AegisError} `ALREADY_RUNNING`: a chain that goes on is no state to go on from. */
async function requireStopped(paths: HomePaths): Promise<void> {
  const { held, holder } = await HomeLock.inspect(paths.lock);
  if (!held) return;
  const who = holder === undefined ? '' : `: process ${holder.pid}`;
  throw new AegisError('ALREADY_RUNNING', `a daemon runs for this home${who}`, {
    hint: 'Stop it first: aegis node stop',
  });
}

/**
 * What was given to `--recover`; the cluster may be left out in a home of it.
 * @throws {AegisError} `USAGE`.
 */
export async function consentOf(paths: HomePaths, text: string): Promise<Recovery> {
  const [, cluster, height, root] =
    /^(?:(aegisc1[a-z2-7]{52}):)?(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (height === undefined || root === undefined) {
    throw new AegisError('USAGE', '--recover wants a height and a state root', {
      hint: 'As it was printed by `aegis cluster recover`: aegisc1...:57:9f86...',
    });
  }
  const stateRoot = new Uint8Array(Buffer.from(root, 'hex'));
  const isMember = (await statIfPresent(paths.genesis)) !== undefined;
  if (cluster === undefined && !isMember) {
    throw new AegisError('USAGE', 'this home is in no cluster, so --recover must name one', {
      hint: 'As it was printed by `aegis cluster recover`: aegisc1...:57:9f86...',
    });
  }
  const clusterId = cluster ?? (await ownGenesis(paths)).genesis.clusterId;
  return { clusterId, height: Number(height), stateRoot };
}

/** The state of this home. @throws {AegisError} what `ownGenesis` and `readOrigin` throw. */
export async function readOwnState(paths: HomePaths) {
  await requireStopped(paths);
  const { genesis, bytes } = await ownGenesis(paths);
  const { readOrigin } = await import('../core/node/recovery.ts');
  return { genesis, origin: readOrigin(paths.chainDb, bytes) };
}

/** @throws {AegisError} `BAD_DATA` when a cluster of this genesis cannot go on from the state. */
export async function checkGoesOn(genesis: Genesis, origin: OriginFile): Promise<void> {
  const { checkOrigin } = await import('../core/node/recovery.ts');
  checkOrigin(genesis, origin);
}

/**
 * Whether this home has this very state; false: it has no chain of that cluster, or does not reach
 * so far, and cannot know.
 * @throws {AegisError} `CHECK_FAILED` when it has another state, or later blocks: those would be
 * lost.
 */
export async function requireSameState(paths: HomePaths, recovery: Recovery): Promise<boolean> {
  if ((await statIfPresent(paths.genesis)) === undefined) return false;
  const { origin } = await readOwnState(paths);
  const { head } = origin;
  const text = recoveryText(describeRecovery(head));
  const hint = `This home has ${text}`;
  if (head.clusterId !== recovery.clusterId) {
    throw new AegisError('CHECK_FAILED', 'this home is in another cluster', { hint });
  }
  if (head.height > recovery.height) {
    const lost = head.height - recovery.height;
    const what = `${lost} final block${lost === 1 ? '' : 's'} of this home would be lost`;
    throw new AegisError('CHECK_FAILED', what, { hint: `${hint}; go on from that.` });
  }
  if (head.height < recovery.height) return false;
  const isSame = Buffer.compare(head.stateRoot, recovery.stateRoot) === 0;
  if (!isSame) throw new AegisError('CHECK_FAILED', 'this home has another state', { hint });
  return true;
}

interface Next {
  readonly genesis: Genesis;
  readonly bytes: Uint8Array;
  readonly origin: Origin;
}

/**
 * Takes this home over to a cluster that goes on.
 * @returns false when it was in it before.
 */
export async function joinRecovery(
  paths: HomePaths,
  next: Next,
  file: string | undefined,
  { confirm }: { readonly confirm: (question: string) => Promise<void> },
): Promise<boolean> {
  const read = (path: string): Promise<Uint8Array> => readDocument(path, GENESIS_BYTES_MAX);
  const isThere = (await statIfPresent(paths.genesis)) !== undefined;
  if (isThere && Buffer.compare(await read(paths.genesis), next.bytes) === 0) return false;
  const lock = await HomeLock.acquire(paths.lock);
  try {
    const recovery = await import('../core/node/recovery.ts');
    const before = await recovery.findBefore(paths, next.origin.clusterId, read);
    const own =
      before.genesis === undefined || before.chainDb === undefined
        ? undefined
        : recovery.readOrigin(before.chainDb, before.genesis);
    if (own !== undefined && own.head.height > next.origin.height) {
      const lost = own.head.height - next.origin.height;
      await confirm(`leave ${lost} final blocks of this home behind?`);
    }
    const isOwn = own !== undefined && recovery.isSameState(own.head, next.origin);
    const origin = isOwn ? own : await readState(file, next.origin);
    await recovery.layOrigin(paths, { ...next, origin }, before, SILENT);
  } finally {
    await lock.release();
  }
  return true;
}

async function readState(file: string | undefined, wanted: Recovery) {
  const { decodeOrigin, ORIGIN_BYTES_MAX } = await import('../core/chain/origin-file.ts');
  const { isSameState, ORIGIN_TABLES } = await import('../core/node/recovery.ts');
  if (file === undefined) {
    throw new AegisError(
      'NOT_FOUND',
      'this home has not the state from which the cluster goes on',
      {
        hint: 'Get it from who has it (aegis cluster recover --state FILE), and give --state FILE.',
      },
    );
  }
  const origin = decodeOrigin(await readDocument(file, ORIGIN_BYTES_MAX), ORIGIN_TABLES);
  if (isSameState(origin.head, wanted)) return origin;
  throw new AegisError('BAD_DATA', 'the state is not the one that the genesis names', {
    hint: `It wants ${recoveryText(describeRecovery(wanted))}`,
  });
}

/** Nobody is there to read it. */
const SILENT: Log = { write: () => {}, child: () => SILENT };
