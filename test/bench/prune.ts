/**
 * What pruning gives back: a real chain of 50,000 blocks, made quickly by one custodian, of which
 * the last 1,000 are kept. What a vote waits for meanwhile, and whether proofs and new nodes get
 * along with what is left, is measured on the same chain.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_SETTINGS } from '../../src/core/config/settings.ts';
import { encodeCertificate } from '../../src/core/consensus/certificate.ts';
import { exportSnapshot } from '../../src/core/node/history-export.ts';
import { importHistory } from '../../src/core/node/history-import.ts';
import { readState } from '../../src/core/node/history-verify.ts';
import { intentIds, Pruner } from '../../src/core/node/pruner.ts';
import type { Log, Metrics } from '../../src/core/ports.ts';
import { buildProof, pathClaim } from '../../src/core/proof/build.ts';
import { verifyProof } from '../../src/core/proof/verifier.ts';
import { ChainStore } from '../../src/core/storage/chain-store.ts';
import { MIB } from '../../src/core/units.ts';
import { MadeHistory } from '../helpers/made-history.ts';
import type { Figure } from './figures.ts';

const BLOCKS = 50_000;
const KEPT = 1000;
const PROOFS = 100;
/** Blocks of one transaction while the chain is made. */
const AT_ONCE = 200;
const VOTES = 400;
const VOTE_EVERY_MS = 5;

const log: Log = { write: () => {}, child: () => log };
const metrics: Metrics = { count: () => {}, gauge: () => {}, observe: () => {} };

export async function prune(): Promise<Figure[]> {
  const dir = await mkdtemp(join(tmpdir(), 'aegis-prune-'));
  try {
    return await measure(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function measure(dir: string): Promise<Figure[]> {
  const made = new MadeHistory();
  const chainDb = join(dir, 'chain.db');
  const store = await ChainStore.open(chainDb, { log });
  const fillMs = await timed(() => fill(store, made));
  const calm = await votes(store, () => false);
  const pruner = await Pruner.open(
    { keepBlocks: 0 },
    {
      ...{ store, log, metrics, idsOf: intentIds(made.genesis) },
      height: () => BLOCKS,
      base: () => 1,
      pruned: () => {},
    },
  );
  let isOver = false;
  const busy = votes(store, () => isOver);
  const begun = performance.now();
  const { bytesBefore, bytesAfter } = await pruner.prune(KEPT);
  const pruneMs = performance.now() - begun;
  isOver = true;
  const waits = await busy;
  await store.close();
  const proofs = provenIn(made, chainDb);
  const joinMs = await timed(() => joinBySnapshot(made, chainDb, join(dir, 'new')));
  const share = (100 * (bytesBefore - bytesAfter)) / bytesBefore;
  const of = `${BLOCKS.toLocaleString('en-GB')} blocks`;
  const info = (name: string, unit: string, samples: readonly number[]): Figure => ({
    ...{ name, unit, samples },
  });
  return [
    { ...info(`disk given back, ${of} to ${KEPT}`, '%', [share]), goal: { least: 80 } },
    info(`chain.db and its log, ${of}`, 'MiB', [bytesBefore / MIB]),
    info(`chain.db and its log, the last ${KEPT}`, 'MiB', [bytesAfter / MIB]),
    info('pruning beside votes', 's', [pruneMs / 1000]),
    info('a vote is durable, nothing else', 'ms', calm),
    { ...info('a vote is durable, while pruning', 'ms', waits), of: 'p95' },
    { ...info('proofs that hold after pruning', 'of 100', [proofs]), goal: { least: PROOFS } },
    info('a new node joins by a snapshot', 'ms', [joinMs]),
    info('making the chain', 's', [fillMs / 1000]),
  ];
}

async function fill(store: ChainStore, made: MadeHistory): Promise<void> {
  for (let height = 0; height < BLOCKS; height += AT_ONCE) {
    const blocks = Array.from({ length: AT_ONCE }, () => made.grow());
    await store.commit(blocks.flat());
  }
}

/** How long each of some votes takes, as a custodian casts them. */
async function votes(store: ChainStore, isOver: () => boolean): Promise<number[]> {
  const waits: number[] = [];
  while (!isOver() && waits.length < VOTES) {
    const value = new Uint8Array(600).fill(waits.length % 251);
    waits.push(await timed(() => store.commit([{ table: 'consensus/replica', key: 'b', value }])));
    await sleep(VOTE_EVERY_MS);
  }
  return waits;
}

/** How many of 100 values a stranger can be shown, by what is left. */
function provenIn({ genesis, genesisBytes }: MadeHistory, chainDb: string): number {
  const { ledger } = readState(chainDb, genesis);
  const { tip, certificate, handovers } = ledger;
  const head = { height: tip.height, header: tip.headerBytes! };
  let count = 0;
  for (let n = 0; n < PROOFS; n += 1) {
    const path = `notes/${n}.md`;
    const { proof, value } = ledger.prove(path);
    const { siblings, other } = proof;
    const bytes = buildProof({
      ...{ clusterId: genesis.clusterId, custodians: genesis.custodians, handovers },
      tip: { ...head, certificate: encodeCertificate(certificate!) },
      claims: [pathClaim(path, { siblings, ...(other && { other }), value }, [])],
    });
    if (verifyProof(bytes, genesisBytes).height === BLOCKS) count += 1;
  }
  return count;
}

async function joinBySnapshot(made: MadeHistory, chainDb: string, dir: string): Promise<void> {
  await mkdir(dir);
  const at = (name: string): string => join(dir, name);
  const { ledger, leaders } = readState(chainDb, made.genesis);
  const bytes = async function* bytes(): AsyncGenerator<Uint8Array> {
    for (const frame of exportSnapshot(made.genesis.clusterId, ledger, leaders)) {
      yield await Promise.resolve(frame);
    }
  };
  const { height } = await importHistory(
    { lock: at('lock'), chainDb: at('chain.db'), contentDb: at('content.db') },
    {
      ...{ genesis: made.genesis, self: 'aegis1new', settings: DEFAULT_SETTINGS },
      ...{ invited: undefined, bytes: bytes() },
    },
    { log, signal: new AbortController().signal, told: () => {} },
  );
  if (height !== BLOCKS) throw new Error(`the new node is at ${height}`);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}
