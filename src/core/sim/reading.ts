/**
 * What a node does with a message before its machine sees it: reads it and checks its signatures.
 * One body goes to many: it is read once for all that know the same keys, except where signatures
 * are real.
 */
import type { Chain } from '../chain/chain.ts';
import {
  CHAIN_PROTOCOL,
  type ChainMessage,
  type OpenedMessage,
  openMessage,
} from '../chain/messages.ts';
import type { Roster } from '../chain/roster.ts';
import type { ChainInput } from '../chain/types.ts';
import { CONSENSUS_PROTOCOL } from '../consensus/messages.ts';
import { verifyEd25519 } from '../crypto/sign.ts';
import { AegisError } from '../errors.ts';
import type { Envelope } from '../machine.ts';
import type { IntentContext } from '../model/intent.ts';
import { verified } from '../units.ts';
import type { SimCrypto } from './consensus-tools.ts';
import type { Core } from './core.ts';
import { SimFailure } from './scenario.ts';

interface ReadMessage {
  readonly message: ChainMessage;
  /** Whether its signatures hold. */
  readonly isRight: boolean;
}

export interface ReadingOptions {
  readonly cluster: IntentContext;
  readonly isReal: boolean;
  readonly isByzantine: (nodeId: string) => boolean;
}

export class Reading {
  readonly #options: ReadingOptions;
  readonly #crypto: SimCrypto;
  /** By body, then by what is known of the members' keys. */
  readonly #known = new WeakMap<Uint8Array, Map<string, ReadMessage>>();
  /** Messages that a node refused, as it should. */
  refused = 0;

  constructor(options: ReadingOptions, crypto: SimCrypto) {
    this.#options = options;
    this.#crypto = crypto;
  }

  /** As the node does off the loop: read, check signatures, hand in. */
  open(
    chain: Chain,
    from: string,
    { protocol, body }: Envelope,
    core: Core | undefined,
  ): ChainInput | undefined {
    if (protocol !== CHAIN_PROTOCOL && protocol !== CONSENSUS_PROTOCOL) return undefined;
    try {
      const { message, isRight } = this.#read(chain, protocol, body);
      core?.read(newIntents(chain, message));
      if (isRight) return { type: 'message', from, message: verified(message) };
    } catch (error) {
      if (!(error instanceof AegisError)) throw error;
    }
    this.refused += 1;
    if (!this.#options.isByzantine(from)) {
      throw new SimFailure(`evidence: a message of ${from}, who is innocent, is refused`);
    }
    return { type: 'unreadable', from };
  }

  #read(chain: Chain, protocol: string, body: Uint8Array): ReadMessage {
    const { clusterId, names } = this.#options.cluster;
    const { roster } = chain;
    const isWaiting = (digest: string): boolean => chain.isWaiting(digest);
    const options = {
      clusterId,
      names,
      height: () => chain.height,
      hasKey: (author: string, keyEpoch: number) =>
        roster.identityKey(author, keyEpoch) !== undefined,
    };
    if (this.#options.isReal) {
      const isKnown = (digest: string): boolean => chain.isKnown(digest);
      return this.#verify(roster, openMessage(protocol, body, { ...options, isKnown, isWaiting }));
    }
    const byKeys = this.#known.get(body) ?? new Map<string, ReadMessage>();
    this.#known.set(body, byKeys);
    const epochs = roster
      .all()
      .map(({ keys }) => keys.keyEpoch)
      .join();
    const known =
      byKeys.get(epochs) ??
      this.#verify(roster, openMessage(protocol, body, { ...options, isKnown: () => false }));
    byKeys.set(epochs, known);
    const { message, isRight } = known;
    if (message.type !== 'intents') return known;
    const intents = message.intents.filter(({ digest }) => !isWaiting(digest));
    return { message: { ...message, intents }, isRight };
  }

  #verify(roster: Roster, { message, checks }: OpenedMessage): ReadMessage {
    const isRight = checks.every((check) => {
      const { author, keyEpoch, message: bytes, signature } = check;
      // Successors sign in earnest, whatever stands for the other signatures.
      if (check.key !== undefined) return verifyEd25519(check.key, bytes, signature);
      const key = roster.identityKey(author, keyEpoch);
      return key !== undefined && this.#crypto.verifyIdentity(key, bytes, signature);
    });
    return { message, isRight };
  }
}

/** Intents in a message that a node has to read and verify, since it does not know them. */
function newIntents(chain: Chain, message: ChainMessage): number {
  const isNew = (digest: string): boolean => !chain.isKnown(digest);
  if (message.type === 'intents') {
    return message.intents.filter(({ digest }) => isNew(digest)).length;
  }
  if (message.type !== 'consensus' || message.block === undefined) return 0;
  return message.block.digests.filter(isNew).length;
}
