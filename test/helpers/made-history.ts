/**
 * A real history, made quickly: blocks of a cluster with one custodian, executed and certified like
 * any other, without rounds of consensus. The same numbers give the same history.
 */
import type { CID } from 'multiformats/cid';
import { Candidates } from '../../src/core/chain/candidates.ts';
import { Ledger } from '../../src/core/chain/ledger.ts';
import type { Mempool } from '../../src/core/chain/mempool.ts';
import { META, sortRows, TABLES } from '../../src/core/chain/rows.ts';
import { vrfScheme } from '../../src/core/chain/seeds.ts';
import { Turn } from '../../src/core/chain/turn.ts';
import { CustodianSet, CustodianSets } from '../../src/core/consensus/custodian-sets.ts';
import { LeaderSchedule } from '../../src/core/consensus/schedule.ts';
import { digestMessage } from '../../src/core/consensus/signed-bytes.ts';
import type { Certificate } from '../../src/core/consensus/types.ts';
import { signBls } from '../../src/core/crypto/bls.ts';
import { proveVrf } from '../../src/core/crypto/vrf.ts';
import type { LogEntry } from '../../src/core/machine.ts';
import { createGenesis, type Genesis, openGenesis } from '../../src/core/model/genesis.ts';
import { createIntent, type SignedIntent } from '../../src/core/model/intent.ts';
import { versionCidOf } from '../../src/core/model/version.ts';
import { instant } from '../../src/core/units.ts';
import { type TestNode, testNode } from './nodes.ts';

const START = 1_800_000_100_000;

export interface MadeOptions {
  /** So many paths are written again and again. @default 1000 */
  readonly paths?: number;
  /** Every so many blocks one has a certificate (Y1); the last of all has one. @default 1 */
  readonly certifyEvery?: number;
}

export class MadeHistory {
  readonly node: TestNode;
  readonly genesisBytes: Uint8Array;
  readonly genesis: Genesis;
  readonly ledger: Ledger;
  readonly #options: Required<MadeOptions>;
  readonly #sets: CustodianSets;
  readonly #versions = new Map<string, { readonly cid: CID; readonly generation: number }>();
  #leaders: LeaderSchedule;

  constructor(options: MadeOptions = {}, node: TestNode = testNode(1)) {
    this.#options = { paths: 1000, certifyEvery: 1, ...options };
    this.node = node;
    this.genesisBytes = createGenesis({
      name: 'made',
      createdAt: START,
      bundles: [node.bundle],
    });
    this.genesis = openGenesis(this.genesisBytes);
    const { clusterId, custodians } = this.genesis;
    const rows = sortRows([]);
    this.ledger = Ledger.recover({ clusterId, genesis: this.genesis }, rows).ledger;
    this.#sets = new CustodianSets(new CustodianSet(custodians));
    this.#leaders = new LeaderSchedule({ clusterId, custodians: custodians.length });
  }

  /** The path that is written at a height. */
  pathAt(height: number): string {
    return `notes/${height % this.#options.paths}.md`;
  }

  /** The next block: all that a node makes durable with it. */
  grow(isLast = false): LogEntry[] {
    const { clusterId } = this.genesis;
    const height = this.ledger.tip.height + 1;
    const intents = [this.#intent(height)];
    const takeAll = (): readonly SignedIntent[] => intents;
    const mempool = { takeAll, get: () => undefined } as unknown as Mempool;
    const context = { clusterId, ledger: this.ledger, leaders: this.#leaders, seeds: this.#seeds };
    const candidates = new Candidates(context, mempool);
    const now = instant(START + height);
    const built = candidates.build(0, this.node.nodeId, now);
    if (typeof built === 'string') throw new Error(built);
    const judgement = candidates.judge(built.digest);
    if (!judgement.isValid) throw new Error(judgement.why);
    const { executed } = judgement;
    const isCertified = isLast || height % this.#options.certifyEvery === 0;
    const turn = new Turn(now);
    candidates.persist(turn, built.digest);
    const certificate = isCertified ? this.#certify(height, built.digest) : undefined;
    this.ledger.advance(turn, executed, certificate);
    this.#sets.advance(height);
    this.#leaders = executed.leaders;
    turn.persist(TABLES.meta, META.leaders, this.#leaders.snapshot());
    return [...turn.build().entries];
  }

  get #seeds() {
    const { nodeId, vrfSeed, keys } = this.node;
    const prove = (alpha: Uint8Array): Uint8Array => proveVrf(vrfSeed, alpha);
    const ring = { seeds: () => ({ publicKey: keys.vrfKey, prove }) };
    return vrfScheme({ sets: this.#sets, self: { nodeId, ring } });
  }

  #intent(height: number): SignedIntent {
    const path = this.pathAt(height);
    const before = this.#versions.get(path);
    const cid = versionCidOf(Buffer.from(`version at ${height}`));
    const generation = (before?.generation ?? 0) + 1;
    this.#versions.set(path, { cid, generation });
    const parents = before === undefined ? [] : [before.cid];
    const change = { path, version: cid, parents, generation };
    return createIntent(
      { author: this.node.nodeId, sequence: height, time: START + height, changes: [change] },
      this.genesis,
      this.node.signer,
    );
  }

  #certify(height: number, digest: string): Certificate {
    const message = digestMessage(this.genesis.clusterId, 'commit', height, 0, digest);
    const signature = signBls(this.node.consensusSecret, message);
    return { phase: 'commit', height, view: 0, digest, signers: [0], signature };
  }
}
