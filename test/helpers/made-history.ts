/**
 * A real history, made quickly: blocks of a cluster of one or a few custodians, executed and
 * certified by a quorum like any other, without rounds of consensus. One custodian of the same
 * number gives the same history.
 */
import type { CID } from 'multiformats/cid';
import { Candidates } from '../../src/core/chain/candidates.ts';
import { Ledger } from '../../src/core/chain/ledger.ts';
import type { Mempool } from '../../src/core/chain/mempool.ts';
import { META, sortRows, TABLES } from '../../src/core/chain/rows.ts';
import { vrfScheme } from '../../src/core/chain/seeds.ts';
import { Turn } from '../../src/core/chain/turn.ts';
import { CustodianSet, CustodianSets } from '../../src/core/consensus/custodian-sets.ts';
import { quorumOf } from '../../src/core/consensus/quorum.ts';
import { LeaderSchedule } from '../../src/core/consensus/schedule.ts';
import { digestMessage } from '../../src/core/consensus/signed-bytes.ts';
import type { Certificate } from '../../src/core/consensus/types.ts';
import { aggregateBls, signBls } from '../../src/core/crypto/bls.ts';
import { proveVrf } from '../../src/core/crypto/vrf.ts';
import type { LogEntry } from '../../src/core/machine.ts';
import { createGenesis, type Genesis, openGenesis } from '../../src/core/model/genesis.ts';
import { createIntent, type SignedIntent } from '../../src/core/model/intent.ts';
import { versionCidOf } from '../../src/core/model/version.ts';
import type { Signer } from '../../src/core/ports.ts';
import { instant } from '../../src/core/units.ts';
import { type TestNode, testNode } from './nodes.ts';

const START = 1_800_000_100_000;

export interface MadeOptions {
  /** So many paths are written again and again. @default 1000 */
  readonly paths?: number;
  /** Every so many blocks one has a certificate (Y1); the last of all has one. @default 1 */
  readonly certifyEvery?: number;
  /** Of the first block, about. @default a fixed time */
  readonly startAt?: number;
}

/** A custodian with its keys, and who else is of the cluster from the beginning. */
export interface Maker {
  readonly nodeId: string;
  readonly signer: Signer;
  readonly vote: (message: Uint8Array) => Uint8Array;
  readonly prove: (alpha: Uint8Array) => Uint8Array;
}

export interface Founders {
  readonly genesisBytes: Uint8Array;
  readonly makers: readonly [Maker, ...Maker[]];
}

/** A cluster of this node alone. */
export function foundedBy(node: TestNode): Founders {
  const { nodeId, signer, consensusSecret, vrfSeed, bundle } = node;
  const genesisBytes = createGenesis({ name: 'made', createdAt: START, bundles: [bundle] });
  const vote = (message: Uint8Array): Uint8Array => signBls(consensusSecret, message);
  const prove = (alpha: Uint8Array): Uint8Array => proveVrf(vrfSeed, alpha);
  return { genesisBytes, makers: [{ nodeId, signer, vote, prove }] };
}

export class MadeHistory {
  readonly genesisBytes: Uint8Array;
  readonly genesis: Genesis;
  readonly ledger: Ledger;
  readonly #options: Required<MadeOptions>;
  readonly #sets: CustodianSets;
  readonly #versions = new Map<string, { readonly cid: CID; readonly generation: number }>();
  /** By node id. */
  readonly #makers: ReadonlyMap<string, Maker>;
  readonly #author: Maker;
  #leaders: LeaderSchedule;

  constructor(options: MadeOptions = {}, founders: Founders = foundedBy(testNode(1))) {
    this.#options = { paths: 1000, certifyEvery: 1, startAt: START, ...options };
    this.#author = founders.makers[0];
    this.#makers = new Map(founders.makers.map((one) => [one.nodeId, one]));
    this.genesisBytes = founders.genesisBytes;
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
    const leader = this.ledger.custodians.nodeIds[this.#leaders.leaderOf(height, 0)]!;
    const seeds = this.#seedsOf(this.#makers.get(leader)!);
    const context = { clusterId, ledger: this.ledger, leaders: this.#leaders, seeds };
    const candidates = new Candidates(context, mempool);
    const now = instant(this.#options.startAt + height);
    const built = candidates.build(0, leader, now);
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

  #seedsOf({ nodeId, prove }: Maker) {
    const ring = { seeds: (publicKey: Uint8Array) => ({ publicKey, prove }) };
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
    const { nodeId: author, signer } = this.#author;
    const time = this.#options.startAt + height;
    const fields = { author, sequence: height, time, changes: [change] };
    return createIntent(fields, this.genesis, signer);
  }

  #certify(height: number, digest: string): Certificate {
    const message = digestMessage(this.genesis.clusterId, 'commit', height, 0, digest);
    const { nodeIds, size } = this.ledger.custodians;
    const signers = Array.from({ length: quorumOf(size) }, (_, index) => index);
    const shares = signers.map((index) => this.#makers.get(nodeIds[index]!)!.vote(message));
    const signature = aggregateBls(shares);
    return { phase: 'commit', height, view: 0, digest, signers, signature };
  }
}
