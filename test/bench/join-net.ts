/**
 * A devnet with a long history: four custodians who have all of it, made in this process with their
 * own keys, and an agent who has nothing and can be emptied again. It measures nothing.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { VERSION } from '../../src/cli/version.ts';
import { Client } from '../../src/core/api/client/client.ts';
import { TABLES } from '../../src/core/chain/rows.ts';
import { type HomePaths, resolveHome } from '../../src/core/config/home.ts';
import { writeSettings } from '../../src/core/config/settings.ts';
import { finalRow } from '../../src/core/consensus/journal.ts';
import { writeFileAtomic } from '../../src/core/files.ts';
import { Keystore } from '../../src/core/keys/keystore.ts';
import { createBundle, type Role } from '../../src/core/model/bundle.ts';
import { createGenesis } from '../../src/core/model/genesis.ts';
import { Devnet, type DevnetNode } from '../../src/core/node/devnet.ts';
import type { Log } from '../../src/core/ports.ts';
import { ChainStore } from '../../src/core/storage/chain-store.ts';
import { DAY } from '../../src/core/units.ts';
import { MadeHistory, type Maker } from '../helpers/made-history.ts';
import type { BenchNode } from './cluster.ts';
import { BIN } from './processes.ts';

const CUSTODIANS = 4;
/** Blocks of one transaction while the history is written. */
const AT_ONCE = 200;
const log: Log = { write: () => {}, child: () => log };

export interface JoinNet {
  readonly custodians: readonly BenchNode[];
  /** From the keys on, without the daemons. */
  readonly makingMs: number;
  readonly historyBytes: number;
  /** An agent with an empty home, whose daemon is ready and may not talk to the others yet. */
  newcomer(snapshots: 'auto' | 'never'): Promise<BenchNode>;
  /** Lets it talk to them. */
  letIn(): Promise<void>;
  dismiss(): Promise<void>;
}

const homeOf = ({ home }: Pick<DevnetNode, 'home'>): HomePaths => resolveHome({ home, env: {} });

/** Stops all daemons after `use`. */
export async function withJoinNet<T>(
  dir: string,
  blocks: number,
  use: (net: JoinNet) => Promise<T>,
): Promise<T> {
  const where = { dir: join(dir, 'net'), bin: BIN, version: VERSION };
  const begun = performance.now();
  const devnet = await Devnet.create(where, { size: CUSTODIANS + 1 });
  const historyBytes = await found(devnet, where.dir, blocks);
  const makingMs = performance.now() - begun;
  const newcomer = devnet.nodes.at(-1)!;
  try {
    const custodians: BenchNode[] = [];
    for (const node of devnet.nodes.slice(0, CUSTODIANS)) {
      custodians.push(await started(devnet, node));
    }
    await devnet.partition(newcomer.name);
    return await use({
      ...{ custodians, makingMs, historyBytes },
      newcomer: async (snapshots) => {
        const paths = homeOf(newcomer);
        const data = dirname(paths.chainDb);
        for (const file of await readdir(data)) {
          if (/^(chain|content)\./.test(file)) await rm(join(data, file));
        }
        await writeSettings(paths, { chain: { snapshots } });
        return await started(devnet, newcomer);
      },
      letIn: async () => void (await devnet.heal()),
      dismiss: async () => {
        await devnet.kill(newcomer.name);
        await devnet.partition(newcomer.name);
      },
    });
  } finally {
    await devnet.down();
  }
}

async function started(devnet: Devnet, { name, nodeId, home }: DevnetNode): Promise<BenchNode> {
  const { pid } = await devnet.resume(name);
  const { socket, adminToken } = homeOf({ home });
  const token = (await readFile(adminToken, 'utf8')).trim();
  return {
    name,
    nodeId,
    home,
    pid: pid!,
    client: new Client({ socket, token, timeoutMs: 60_000 }),
  };
}

/** Gives the homes a genesis in which the last node is an agent, and its custodians a history. */
async function found(devnet: Devnet, dir: string, blocks: number): Promise<number> {
  const passphrase = await readFile(join(dir, 'passphrase'), 'utf8');
  const stores: Keystore[] = [];
  try {
    for (const node of devnet.nodes) {
      stores.push(await Keystore.open({ dir: homeOf(node).keys, passphrase }));
    }
    const bundles = devnet.nodes.map(({ address }, at) =>
      bundleOf(stores[at]!, address, at < CUSTODIANS ? 'custodian' : 'agent'),
    );
    const startAt = Date.now() - DAY;
    const genesisBytes = createGenesis({ name: 'join', createdAt: startAt, bundles });
    for (const node of devnet.nodes) {
      await writeFileAtomic(homeOf(node).genesis, genesisBytes, { mode: 0o600 });
    }
    const [first, ...others] = stores.slice(0, CUSTODIANS).map(makerOf);
    const makers = [first!, ...others] as const;
    const made = new MadeHistory({ startAt }, { genesisBytes, makers });
    return await write(
      devnet.nodes.slice(0, CUSTODIANS).map((node) => homeOf(node).chainDb),
      made,
      blocks,
    );
  } finally {
    for (const store of stores) store.close();
  }
}

function bundleOf(keystore: Keystore, address: string, role: Role): Uint8Array {
  const { inceptionBytes: inception, consensusKeys, signer } = keystore;
  const keys = { inception, role, ...consensusKeys };
  const fields = { ...keys, addresses: [address], storageWeight: 100, createdAt: Date.now() };
  return createBundle(fields, signer);
}

function makerOf(keystore: Keystore): Maker {
  const { nodeId, signer, consensusKeys } = keystore;
  const votes = keystore.votes(consensusKeys.consensusKey)!;
  const seeds = keystore.seeds(consensusKeys.vrfKey)!;
  const vote = (message: Uint8Array): Uint8Array => votes.sign(message)!;
  return { nodeId, signer, vote, prove: (alpha) => seeds.prove(alpha)! };
}

/**
 * Into the store of each, for a file that was copied is in doubt (D3).
 * @returns the bytes of the blocks.
 */
async function write(files: readonly string[], made: MadeHistory, blocks: number): Promise<number> {
  const stores = await Promise.all(files.map((file) => ChainStore.open(file, { log })));
  let bytes = 0;
  for (let height = 0; height < blocks; height += AT_ONCE) {
    const count = Math.min(AT_ONCE, blocks - height);
    const entries = Array.from({ length: count }, () => made.grow()).flat();
    for (const { table, value } of entries) {
      if (table === TABLES.blocks) bytes += value?.length ?? 0;
    }
    await Promise.all(stores.map((store) => store.commit(entries)));
  }
  // As a replica keeps it that has decided the last of them.
  const last = [finalRow(made.ledger.certificate!)];
  await Promise.all(stores.map((store) => store.commit(last)));
  await Promise.all(stores.map((store) => store.close()));
  return bytes;
}
