/** A chain of one custodian, who decides alone, and what follows from it after a recovery. */
import { Chain } from '../../../../src/core/chain/chain.ts';
import { originRows } from '../../../../src/core/chain/origin.ts';
import type { OriginFile } from '../../../../src/core/chain/origin-file.ts';
import { sortRows } from '../../../../src/core/chain/rows.ts';
import type { ChainInput, StoredRow } from '../../../../src/core/chain/types.ts';
import { CustodianSet, CustodianSets } from '../../../../src/core/consensus/custodian-sets.ts';
import { createBundle, type Recovery } from '../../../../src/core/model/bundle.ts';
import { createGenesis, type Genesis, openGenesis } from '../../../../src/core/model/genesis.ts';
import { createIntent, readIntent } from '../../../../src/core/model/intent.ts';
import type { KeyRing } from '../../../../src/core/ports.ts';
import { StubKeyring } from '../../../../src/core/sim/stub-scheme.ts';
import { instant, verified } from '../../../../src/core/units.ts';
import type { Owner } from '../../../helpers/owner.ts';
import { versionOf } from './fixtures.ts';

/** One custodian, who decides alone. */
export class Alone {
  readonly genesis: Genesis;
  readonly bytes: Uint8Array;
  readonly owner: Owner;
  readonly rows = new Map<string, StoredRow>();
  readonly chain: Chain;
  #now = 1_000_000;

  constructor(owner: Owner, genesis: Uint8Array, rows: Iterable<StoredRow> = []) {
    this.owner = owner;
    this.bytes = genesis;
    this.genesis = openGenesis(genesis);
    for (const row of rows) this.rows.set(`${row.table} ${row.key}`, row);
    const { clusterId } = this.genesis;
    const keyring = new StubKeyring(clusterId);
    const sets = new CustodianSets(new CustodianSet(this.genesis.custodians));
    const ring: KeyRing = {
      identity: (key) => keyring.signer(key),
      votes: (key) => keyring.voter(key),
      seeds: (key) => keyring.prover(key),
      heldConsensusKeys: () => [],
    };
    const self = { nodeId: owner.nodeId, ring };
    const deps = {
      scheme: keyring.votesOver({ sets, self }),
      seeds: keyring.seedsOver({ sets, self }),
      sets,
    };
    const options = { clusterId, genesis: this.genesis, self: owner.nodeId, held: [] };
    this.chain = Chain.recover(options, deps, this.rows.values(), 'sound');
    this.#give({ type: 'start' });
  }

  #give(input: ChainInput): void {
    const ready = this.chain.step(input, instant(this.#now));
    this.#now += 10;
    for (const { table, key, value } of ready.entries) {
      if (value === undefined) this.rows.delete(`${table} ${key}`);
      else this.rows.set(`${table} ${key}`, { table, key, value });
    }
  }

  /** Moves a path, as the custodian does. */
  write(path: string, version: string): void {
    const { owner, chain } = this;
    const before = chain.ref(path)?.heads.map((head) => head.version) ?? [];
    const change = { path, version: versionOf(version), parents: before, generation: 1 };
    const signed = createIntent(
      {
        author: owner.nodeId,
        sequence: chain.nextSequence(owner.nodeId),
        time: 1,
        changes: [change],
        keyEpoch: owner.state.keyEpoch,
      },
      this.genesis,
      owner.identity,
    );
    this.#give({ type: 'submit', intents: [signed] });
  }

  handIn(bytes: Uint8Array): void {
    const { signed } = readIntent(bytes, this.genesis);
    this.#give({ type: 'submit', intents: [verified(signed)] });
  }

  get recovery(): Recovery {
    const { stateRoot, height } = this.chain.prove('any');
    return { clusterId: this.genesis.clusterId, height, stateRoot };
  }

  /** What the cluster after it begins with. */
  get origin(): OriginFile {
    const rows = originRows(this.genesis.clusterId, this.bytes, sortRows(this.rows.values()));
    return { head: this.recovery, rows };
  }
}

export const bundleOf = (
  owner: Owner,
  role: 'custodian' | 'agent',
  recovery?: Recovery,
): Uint8Array =>
  createBundle(
    {
      inception: owner.node.inception,
      role,
      ...owner.node.keys,
      addresses: [],
      storageWeight: 1,
      createdAt: 1,
      succession: owner.entries.map(({ bytes }) => bytes),
      ...(recovery === undefined ? {} : { recovery }),
    },
    owner.identity,
  );

export function goOn(
  old: Alone,
  owners: readonly Owner[],
  names = old.genesis.names.key,
): Uint8Array {
  const bundles = owners.map((owner) => bundleOf(owner, 'custodian', old.recovery));
  return createGenesis({ name: 'new', createdAt: 2, bundles, names });
}
