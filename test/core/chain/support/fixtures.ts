/** Members, versions, signed intents and statements for tests of the chain. */
import type { CID } from 'multiformats/cid';
import type { ExecutionContext } from '../../../../src/core/chain/execution.ts';
import { Ledger } from '../../../../src/core/chain/ledger.ts';
import { Mempool } from '../../../../src/core/chain/mempool.ts';
import { Registers } from '../../../../src/core/chain/registers.ts';
import type { FirstMember, Roster } from '../../../../src/core/chain/roster.ts';
import { sortRows } from '../../../../src/core/chain/rows.ts';
import { StatementLane } from '../../../../src/core/chain/statement-lane.ts';
import type { ChainGenesis } from '../../../../src/core/chain/types.ts';
import { base32 } from '../../../../src/core/crypto/base32.ts';
import { sha256 } from '../../../../src/core/crypto/hash.ts';
import { createBundle } from '../../../../src/core/model/bundle.ts';
import type { Change } from '../../../../src/core/model/change.ts';
import { openInception } from '../../../../src/core/model/identity.ts';
import {
  createIntent,
  type Move as ModelMove,
  readIntent,
  type SignedIntent,
} from '../../../../src/core/model/intent.ts';
import {
  createAdmission,
  createDeparture,
  createInvitation,
  NO_ADMISSION,
} from '../../../../src/core/model/membership.ts';
import {
  createApproval,
  createProposal,
  createReadiness,
} from '../../../../src/core/model/proposals.ts';
import type { ProposedChange } from '../../../../src/core/model/proposed-change.ts';
import { PROTOCOL } from '../../../../src/core/model/protocol.ts';
import { versionCidOf } from '../../../../src/core/model/version.ts';
import { DAY, type Verified, verified } from '../../../../src/core/units.ts';
import { contextOf as intentContextOf, NAMES } from '../../../helpers/names.ts';
import { Owner } from '../../../helpers/owner.ts';

export const CLUSTER_ID = base32(sha256(Buffer.from('the cluster of these tests')));
/** What intents are read and made with. */
export const CONTEXT = intentContextOf(CLUSTER_ID);

/** The owner of a node, who may rotate its keys. */
export type Member = Owner;

/** How messages are opened where every key is known. */
export const OPENING = {
  ...CONTEXT,
  height: (): number => 0,
  hasKey: (): boolean => true,
  isKnown: (): boolean => true,
};

/** New members, the same in each run, sorted by node id. */
export const membersOf = (count: number): Member[] =>
  Array.from({ length: count }, (_, at) => new Owner(at + 1)).toSorted((a, b) =>
    a.nodeId < b.nodeId ? -1 : 1,
  );

/** As a genesis would name them; the first ones are the custodians. */
export function genesisOf(members: readonly Member[], custodians: number): ChainGenesis {
  const first = members.map((member, at): FirstMember => {
    const { inception } = openInception(member.node.inception);
    const { name, zone, region } = inception;
    return {
      nodeId: member.nodeId,
      name,
      zone,
      region,
      role: at < custodians ? 'custodian' : 'agent',
      addresses: [],
      storageWeight: 100,
      keys: member.origin,
      origin: member.origin,
      inceptionBytes: member.node.inception,
      succession: [],
    };
  });
  const custodiansOf = first.slice(0, custodians);
  return { members: first, custodians: custodiansOf, names: NAMES, protocol: PROTOCOL.max };
}

/** A chain before its first block. */
export const ledgerOf = (members: readonly Member[], custodians = members.length): Ledger =>
  Ledger.recover({ clusterId: CLUSTER_ID, genesis: genesisOf(members, custodians) }, sortRows([]))
    .ledger;

/** A mempool as a chain has it. */
export function mempoolOf(ledger: Ledger, self: string): Mempool {
  const { roster } = ledger;
  return new Mempool(
    { self },
    {
      memberCount: () => roster.count,
      baseOf: (author) => ledger.sequenceOf(author),
      keyEpochOf: (author) => roster.keyEpochOf(author),
      statements: new StatementLane(CLUSTER_ID, ledger),
    },
  );
}

/** What a block is executed upon. */
export const contextOf = (roster: Roster, height = 7, time = 7000): ExecutionContext => ({
  clusterId: CLUSTER_ID,
  names: NAMES,
  height,
  time,
  roster,
  registers: new Registers(PROTOCOL.max),
});

/** The CID of a version that is known by name. */
export const versionOf = (name: string): CID => versionCidOf(Buffer.from(name));

export interface Move extends Partial<Omit<ModelMove, 'version' | 'parents' | 'expected'>> {
  readonly path?: string;
  /** Names of versions. */
  readonly version: string;
  readonly parents?: readonly string[];
  readonly expected?: string | null;
}

function changeOf({ path = 'notes', version, parents, expected, ...rest }: Move): ModelMove {
  return {
    path,
    version: versionOf(version),
    parents: (parents ?? []).map(versionOf),
    generation: 1,
    ...rest,
    ...(expected === undefined ? {} : { expected: expected === null ? null : versionOf(expected) }),
  };
}

export const intentOf = (
  author: Member,
  sequence: number,
  ...moves: readonly Move[]
): Verified<SignedIntent> =>
  createIntent(
    {
      author: author.nodeId,
      sequence,
      time: 1000 + sequence,
      changes: moves.map(changeOf),
      keyEpoch: author.state.keyEpoch,
    },
    CONTEXT,
    author.identity,
  );

/** An intent of any changes. */
export const changesOf = (
  author: Member,
  sequence: number,
  ...changes: readonly Change[]
): Verified<SignedIntent> =>
  createIntent(
    { author: author.nodeId, sequence, time: 1, changes, keyEpoch: author.state.keyEpoch },
    CONTEXT,
    author.identity,
  );

/** The bytes of a statement as they stand in a block. Its signatures are not verified here. */
export const statementOf = (bytes: Uint8Array): Verified<SignedIntent> =>
  verified(readIntent(bytes, CONTEXT).signed);

let invitations = 0;

/** An invitation and the admission by which its guest comes. */
export function admissionOf(
  inviter: Member,
  guest: Member,
  options: {
    readonly expiresAt?: number;
    readonly keyEpoch?: number;
    readonly bundle?: Uint8Array;
    readonly id?: string;
  } = {},
): Verified<SignedIntent> {
  invitations += 1;
  const { expiresAt = 9_000_000_000_000, keyEpoch = inviter.state.keyEpoch } = options;
  const id = options.id ?? String(invitations).padStart(32, '0');
  const { nodeId } = guest;
  const times = { createdAt: 1, expiresAt };
  const invitation = createInvitation(
    { clusterId: CLUSTER_ID, id, inviter: inviter.nodeId, keyEpoch, nodeId, ...times },
    inviter.identity,
  );
  const admission = createAdmission(
    {
      clusterId: CLUSTER_ID,
      nodeId,
      bundle: options.bundle ?? bundleOf(guest),
      invitation: invitation.bytes,
      time: 1,
    },
    guest.identity,
  );
  return statementOf(admission.bytes);
}

/** What a node shows of itself now. */
export const bundleOf = ({ node, entries, identity }: Member): Uint8Array =>
  createBundle(
    {
      inception: node.inception,
      role: 'agent',
      ...node.keys,
      addresses: [],
      storageWeight: 7,
      createdAt: 1,
      succession: entries.map(({ bytes }) => bytes),
    },
    identity,
  );

export const departureOf = (
  member: Member,
  admission: string = NO_ADMISSION,
): Verified<SignedIntent> =>
  statementOf(
    createDeparture(
      {
        clusterId: CLUSTER_ID,
        nodeId: member.nodeId,
        keyEpoch: member.state.keyEpoch,
        admission,
        time: 1,
      },
      member.identity,
    ).bytes,
  );

let proposals = 0;

export const proposalOf = (
  proposer: Member,
  changes: readonly ProposedChange[],
  options: { readonly at?: number; readonly createdAt?: number; readonly expiresAt?: number } = {},
): Verified<SignedIntent> => {
  proposals += 1;
  const nonce = Buffer.alloc(16);
  nonce.writeUInt32BE(proposals);
  const { at = 0, createdAt = 1_000_000, expiresAt = createdAt + DAY } = options;
  const { keyEpoch } = proposer.state;
  const fields = { clusterId: CLUSTER_ID, proposer: proposer.nodeId, keyEpoch, nonce };
  const proposal = { ...fields, changes, at, createdAt, expiresAt };
  return statementOf(createProposal(proposal, NAMES, proposer.identity).bytes);
};

export const approvalOf = (
  member: Member,
  proposal: Pick<SignedIntent, 'digest'>,
  time = 1,
): Verified<SignedIntent> => {
  const { nodeId, state, identity } = member;
  const approval = { proposal: proposal.digest, nodeId, keyEpoch: state.keyEpoch, time };
  return statementOf(createApproval({ clusterId: CLUSTER_ID, ...approval }, identity).bytes);
};

export const readinessOf = (member: Member, protocol: number, time = 1): Verified<SignedIntent> => {
  const { nodeId, state, identity } = member;
  const readiness = { nodeId, keyEpoch: state.keyEpoch, protocol, time };
  return statementOf(createReadiness({ clusterId: CLUSTER_ID, ...readiness }, identity).bytes);
};
