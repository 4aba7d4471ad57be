/**
 * The operators of a run: they rotate the keys of their nodes by successions that chain/ executes,
 * in earnest and under faults, one entry at a time, and hand each in until it is final. They keep
 * the successors where no fault comes.
 */
import type { ChainInput } from '../chain/types.ts';
import { sha256 } from '../crypto/hash.ts';
import { readIntent, type SignedIntent } from '../model/intent.ts';
import {
  type CertifiedRole,
  createSuccession,
  follow,
  type KeyState,
} from '../model/succession.ts';
import { type Verified, verified } from '../units.ts';
import type { ConsensusTools, SimCrypto } from './consensus-tools.ts';
import type { SimNode } from './node.ts';

export interface OperatorDeps {
  readonly crypto: SimCrypto;
  readonly toolsOf: (node: SimNode) => ConsensusTools;
  readonly submit: (node: SimNode, input: ChainInput) => void;
  /** Whether the succession with this digest is final somewhere. */
  readonly isFinal: (digest: string) => boolean;
}

/** What the operator of one node knows. */
interface Desk {
  /** After the last entry that was made. */
  state: KeyState;
  /** How many consensus keys there have been after the first. */
  number: number;
  /** The last entry, until it is final. */
  open: Verified<SignedIntent> | undefined;
}

export class Operators {
  readonly #deps: OperatorDeps;
  readonly #desks = new Map<string, Desk>();
  /** Digests of all entries that were made. */
  readonly made = new Set<string>();

  constructor(deps: OperatorDeps) {
    this.#deps = deps;
  }

  /** The home of a node as it is made, with its first keys. */
  furnish(node: SimNode, state: KeyState): void {
    const { crypto, toolsOf } = this.#deps;
    this.#desks.set(node.nodeId, { state, number: 0, open: undefined });
    const voting = crypto.voting(node.nodeId, 0);
    toolsOf(node).home.add(crypto.identity(node.identity.signer), voting);
  }

  /** Whether an entry of this node is on its way. */
  isOpen(node: SimNode): boolean {
    return this.#openOf(node) !== undefined;
  }

  /**
   * Rotates the consensus key of a node, and with it perhaps the identity key; or hands in again
   * what is not final yet.
   */
  rotate(node: SimNode, force: number): void {
    if (!this.isOpen(node)) this.#make(node, rolesBy(force));
    this.handIn(node);
  }

  /** The entry that is not final, if there is one: a node may have lost it. */
  handIn(node: SimNode): void {
    const open = this.#openOf(node);
    if (open !== undefined && node.isUp) {
      this.#deps.submit(node, { type: 'submit', intents: [open] });
    }
  }

  /** What a node is given when it starts. */
  atStart(node: SimNode): ChainInput[] {
    const open = this.#openOf(node);
    return open === undefined ? [] : [{ type: 'submit', intents: [open] }];
  }

  #openOf({ nodeId }: SimNode): Verified<SignedIntent> | undefined {
    const desk = this.#desks.get(nodeId);
    if (desk?.open === undefined) return undefined;
    if (this.#deps.isFinal(desk.open.digest)) desk.open = undefined;
    return desk.open;
  }

  #make(node: SimNode, wanted: readonly CertifiedRole[]): void {
    const { crypto, toolsOf } = this.#deps;
    const { nodeId } = node;
    const desk = this.#desks.get(nodeId)!;
    const { state } = desk;
    const { home, cluster } = toolsOf(node);
    // What the home has lost is replaced in any case.
    const hasIdentity = home.signer(state.keys.identityKey) !== undefined;
    const replaced = [...new Set([...wanted, ...(hasIdentity ? [] : (['identity'] as const))])];
    const successor = crypto.successor(nodeId, state.keyEpoch);
    const voting = crypto.voting(nodeId, desk.number + 1);
    const { consensusKey, possession, vrfKey } = voting;
    const next = crypto.successor(nodeId, state.keyEpoch + 1).publicKey;
    const isNew = replaced.includes('identity');
    const signed = createSuccession(
      state,
      {
        keys: {
          consensusKey,
          possession,
          vrfKey,
          ...(isNew ? { identityKey: successor.publicKey, nextIdentityDigest: sha256(next) } : {}),
        },
        replaced,
        ...(isNew ? { sealed: 0 } : {}),
        createdAt: node.now(),
      },
      successor,
    );
    desk.number += 1;
    desk.state = follow(state, signed);
    // The secrets are in the home before the entry leaves it.
    home.add(isNew ? crypto.identity(successor) : undefined, voting);
    desk.open = verified(readIntent(signed.bytes, cluster).signed);
    this.made.add(desk.open.digest);
  }
}

const rolesBy = (force: number): readonly CertifiedRole[] =>
  force < 0.3 ? ['identity', 'consensus'] : ['consensus'];
