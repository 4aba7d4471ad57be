/** A cluster as one node sees it: its members, their keys, and who may find its onion service. */
import { agreementKeyOf } from '../../../../src/core/crypto/agree.ts';
import { type OnionKey, onionKeyOf } from '../../../../src/core/crypto/onion.ts';
import { publicKeyOf } from '../../../../src/core/crypto/sign.ts';
import { AegisError } from '../../../../src/core/errors.ts';
import type { OpenInvitationFile } from '../../../../src/core/model/invitation-file.ts';
import { ClientKeys } from '../../../../src/core/node/client-keys.ts';
import { Introductions } from '../../../../src/core/node/introductions.ts';
import type { OpenInvitation } from '../../../../src/core/node/onion-invitations.ts';
import { Owner } from '../../../helpers/owner.ts';
import { CLUSTER_ID, Members } from './members.ts';
import { log } from './node.ts';

export const DAY = 24 * 3600 * 1000;
/** Within a key epoch, far from its ends. */
export const MIDST = 2968 * 7 * DAY + 3 * DAY;

type Keystore = ConstructorParameters<typeof ClientKeys>[1]['keystore'];

export class OnionWorld {
  readonly owners = [new Owner(1), new Owner(2), new Owner(3)] as const;
  readonly members = new Members(...this.owners);
  readonly banned = new Set<string>();
  readonly frozen: string[] = [];
  readonly invitations: OpenInvitation[] = [];
  now = MIDST;
  readonly introductions = new Introductions(
    { clusterId: CLUSTER_ID },
    {
      ...{ roster: this.members.roster, log },
      own: () => ({ inception: this.owners[0].node.inception, succession: [] }),
      isBanned: (nodeId) => this.banned.has(nodeId),
      isUsed: () => false,
      handIn: () => {},
      learned: () => {},
      frozen: (nodeId) => void this.frozen.push(nodeId),
      now: () => this.now,
    },
  );

  /** What one of the owners computes, with the keys that it has had so far. */
  keysOf(owner: Owner, invited?: OpenInvitationFile): ClientKeys {
    return new ClientKeys(
      { clusterId: CLUSTER_ID, self: owner.nodeId, invited },
      {
        ...{ roster: this.members.roster, introductions: this.introductions },
        keystore: keystoreOf(owner),
        invitations: { all: () => this.invitations },
        now: () => this.now,
      },
    );
  }

  finalise(owner: Owner, more: Parameters<Members['finalise']>[1] = {}): void {
    this.members.finalise(owner, more);
    this.introductions.settle([owner.nodeId]);
  }
}

export const onionOf = (owner: Owner): OnionKey => onionKeyOf(owner.node.onionSeed);

/** As a home has them: the key in force, and nothing retired. */
const keystoreOf = (owner: Owner): Keystore => ({
  get current() {
    return owner.state;
  },
  pending: () => undefined,
  networkSeed: (wanted) => {
    const seed = Uint8Array.from(owner.secrets.networkSeed);
    const publicKey = wanted ?? owner.state.keys.networkKey;
    if (Buffer.compare(publicKeyOf(seed), publicKey) === 0) return seed;
    throw new AegisError('KEYS_RETIRED', 'it is not here');
  },
  retiredNetwork: () => undefined,
});

export const publicHalf = (secret: Uint8Array): string =>
  Buffer.from(agreementKeyOf(secret)).toString('hex');
