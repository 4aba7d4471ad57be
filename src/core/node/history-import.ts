/**
 * Takes a file with blocks or a snapshot into a home whose node is stopped. All of it is judged as
 * if a peer had sent it, and becomes durable step by step: what was sound before a fault, or before
 * it was broken off, stays, and the same file goes on from there.
 */

import type { Chain } from '../chain/chain.ts';
import { StateStore } from '../chain/state-store.ts';
import type { HomePaths } from '../config/home.ts';
import type { Settings } from '../config/settings.ts';
import { AegisError } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import type { Genesis } from '../model/genesis.ts';
import type { OpenInvitationFile } from '../model/invitation-file.ts';
import type { Log } from '../ports.ts';
import { ChainRows } from '../storage/chain-rows.ts';
import { ChainStore } from '../storage/chain-store.ts';
import { HomeLock } from '../storage/home-lock.ts';
import { readChainRows } from './chain-room.ts';
import { checkpointOf, protocolMaxOf } from './chain-settings.ts';
import { Replay, recoverFollower } from './history-replay.ts';
import { BlockFile, FrameReader, SnapshotFile } from './history-sources.ts';
import { markLostFacts } from './own-history.ts';

export { invitedBy } from './opening.ts';

export interface ImportOptions {
  readonly genesis: Genesis;
  /** Node id of this home. */
  readonly self: string;
  readonly settings: Settings;
  /** Y5: it may bring a checkpoint. */
  readonly invited: OpenInvitationFile | undefined;
  readonly bytes: AsyncIterable<Uint8Array>;
}

export interface ImportDeps {
  readonly log: Log;
  readonly signal: AbortSignal;
  told(height: number, to: number): void;
}

export interface Imported {
  readonly kind: 'blocks' | 'snapshot';
  /** The last final height before, and now. */
  readonly before: number;
  readonly height: number;
  /** Hex, of the last block. */
  readonly digest: string;
  readonly stateRoot: string;
}

/**
 * @throws {AegisError} `ALREADY_RUNNING`; `OTHER_CLUSTER`; `NOT_FOUND` when the file begins after
 * what this home has; `BAD_DATA`, `BAD_ENCODING`, `TOO_LARGE` for what does not hold.
 */
export async function importHistory(
  paths: Pick<HomePaths, 'lock' | 'chainDb' | 'contentDb'>,
  { genesis, self, settings, invited, bytes }: ImportOptions,
  { log, signal, told }: ImportDeps,
): Promise<Imported> {
  const lock = await HomeLock.acquire(paths.lock);
  try {
    const { head, reader } = await FrameReader.open(bytes);
    if (head.clusterId !== genesis.clusterId) {
      throw new AegisError('OTHER_CLUSTER', 'the file is of another cluster', {
        details: { expected: genesis.clusterId, found: head.clusterId },
      });
    }
    const store = await openFacts(paths, log);
    try {
      const { standing } = await store.standing();
      const rows = await readChainRows(store);
      using facts = new ChainRows(paths.chainDb);
      // A file with a snapshot was made for nobody: it cannot show the header of an invitation.
      const checkpoint = checkpointOf(settings, head.type === 'history' ? invited : undefined);
      const chain = recoverFollower(genesis, rows, {
        ...{ self, standing, checkpoint, state: new StateStore(facts) },
        protocolMax: protocolMaxOf(settings),
      });
      const before = chain.height;
      if (head.type === 'history') checkAgrees(chain);
      const source =
        head.type === 'history'
          ? new BlockFile(checkReach(head, before), reader, before)
          : new SnapshotFile(head, reader);
      const replay = new Replay(chain, genesis, {
        stage: (entries) => facts.stage(entries),
        commit: (entries) => store.commit(entries),
        told: (height) => told(height, source.height),
        signal,
      });
      if (source.height > before) await replay.run(source);
      const { height, digest, header } = chain.tip();
      const stateRoot = Buffer.from(header?.stateRoot ?? []).toString('hex');
      const kind = head.type === 'history' ? ('blocks' as const) : head.type;
      return { kind, before, height, digest, stateRoot };
    } finally {
      await store.close();
      await reader.close();
    }
  } finally {
    await lock.release();
  }
}

/** As a node opens them: what was lost must not look new because of a file. */
async function openFacts(
  { chainDb, contentDb }: Pick<HomePaths, 'chainDb' | 'contentDb'>,
  log: Log,
): Promise<ChainStore> {
  const marker = await markLostFacts(chainDb, contentDb);
  const hasHistory = (await statIfPresent(marker)) !== undefined;
  return await ChainStore.open(chainDb, { log }, { hasHistory });
}

/** Y7: blocks lead a state that differs nowhere. */
function checkAgrees(chain: Chain): void {
  const { divergence } = chain.status();
  if (divergence === undefined) return;
  const message = `the state of this home differs from final block ${divergence.height}`;
  throw new AegisError('DIVERGED', message, {
    hint: 'Take a snapshot that another member has made: aegis chain snapshot.',
  });
}

function checkReach<H extends { readonly from: number }>(head: H, own: number): H {
  if (head.from <= own + 1) return head;
  throw new AegisError(
    'NOT_FOUND',
    `the file begins at height ${head.from}, this home ends at ${own}`,
    {
      hint: 'Take a file that begins earlier, or a snapshot: aegis chain snapshot.',
    },
  );
}
