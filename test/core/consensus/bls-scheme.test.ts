import { beforeAll, describe, expect, it } from 'vitest';
import { blsScheme } from '../../../src/core/consensus/bls-scheme.ts';
import {
  type CustodianKey,
  CustodianSet,
  CustodianSets,
} from '../../../src/core/consensus/custodian-sets.ts';
import type { VoteScheme } from '../../../src/core/consensus/scheme.ts';
import { blsPublicKeyOf, blsSecretOf, signBls } from '../../../src/core/crypto/bls.ts';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { signerOf } from '../../../src/core/crypto/sign.ts';
import { AegisError } from '../../../src/core/errors.ts';
import type { KeyRing } from '../../../src/core/ports.ts';

const seed = (name: string): Uint8Array => sha256(Buffer.from(name));
const bytes = (text: string): Uint8Array => Buffer.from(text);
const hex = (key: Uint8Array): string => Buffer.from(key).toString('hex');

/** Keys of one node and what signs with them. */
function keysOf(name: string) {
  const secret = blsSecretOf(seed(`bls ${name}`));
  const identity = signerOf(seed(`identity ${name}`));
  const key: CustodianKey = {
    nodeId: name,
    consensusKey: blsPublicKeyOf(secret),
    identityKey: identity.publicKey,
    vrfKey: seed(`vrf ${name}`),
  };
  return { key, identity, vote: (message: Uint8Array) => signBls(secret, message) };
}

type Own = ReturnType<typeof keysOf>;

function ringOf(...own: Own[]): KeyRing {
  const find = (role: 'identityKey' | 'consensusKey', publicKey: Uint8Array): Own | undefined =>
    own.find(({ key }) => hex(key[role]) === hex(publicKey));
  return {
    identity: (publicKey) => find('identityKey', publicKey)?.identity,
    votes: (publicKey) => {
      const found = find('consensusKey', publicKey);
      return found && { publicKey, sign: found.vote };
    },
    seeds: () => undefined,
    heldConsensusKeys: () => own.map(({ key }) => hex(key.consensusKey)),
  };
}

describe('the real signatures', () => {
  let own: Own[];
  let sets: CustodianSets;
  let schemes: VoteScheme[];
  let agent: VoteScheme;
  beforeAll(() => {
    own = [0, 1, 2, 3].map((index) => keysOf(`${index}`));
    sets = new CustodianSets(new CustodianSet(own.map(({ key }) => key)));
    schemes = own.map((one, index) =>
      blsScheme({ self: { nodeId: `${index}`, ring: ringOf(one) }, sets }),
    );
    agent = blsScheme({ sets });
  });

  it('are verified one by one and aggregated', () => {
    const message = bytes('vote');
    const shares = schemes.map((scheme) => scheme.sign(1, message)!);
    expect(schemes[0]!.sign(1, message)).toEqual(shares[0]);
    expect(agent.verify(2, 1, message, shares[2]!)).toBe(true);
    expect(agent.verify(1, 1, message, shares[2]!)).toBe(false);
    expect(agent.verify(9, 1, message, shares[2]!)).toBe(false);
    const sum = agent.aggregate(shares.slice(0, 3))!;
    expect(agent.verifyAggregate(1, [{ signers: [0, 1, 2], message }], sum)).toBe(true);
    expect(agent.verifyAggregate(1, [{ signers: [0, 1, 3], message }], sum)).toBe(false);
    expect(agent.verifyAggregate(1, [{ signers: [0, 1], message }], sum)).toBe(false);
    expect(agent.verifyAggregate(1, [{ signers: [0, 1, 9], message }], sum)).toBe(false);
    expect(agent.verifyAggregate(1, [], sum)).toBe(false);
  });

  it('are aggregated over several messages', () => {
    const [one, other] = [bytes('one'), bytes('other')];
    const shares = [
      schemes[0]!.sign(1, one)!,
      schemes[1]!.sign(1, other)!,
      schemes[2]!.sign(1, one)!,
    ];
    const sum = agent.aggregate(shares)!;
    const groups = [
      { signers: [0, 2], message: one },
      { signers: [1], message: other },
    ];
    expect(agent.verifyAggregate(1, groups, sum)).toBe(true);
    expect(agent.verifyAggregate(1, [groups[1]!, groups[0]!], sum)).toBe(true);
    const swapped = [
      { signers: [0, 1], message: one },
      { signers: [2], message: other },
    ];
    expect(agent.verifyAggregate(1, swapped, sum)).toBe(false);
  });

  it('refuse what is malformed', () => {
    expect(agent.aggregate([new Uint8Array(96)])).toBeUndefined();
    expect(agent.aggregate([])).toBeUndefined();
    expect(agent.verify(0, 1, bytes('vote'), new Uint8Array(96))).toBe(false);
    const groups = [{ signers: [0], message: bytes('x') }];
    expect(agent.verifyAggregate(1, groups, new Uint8Array(3))).toBe(false);
  });

  it('of proposals are those of the identity keys', () => {
    const message = bytes('proposal');
    const signature = schemes[3]!.signProposal(1, message)!;
    expect(agent.verifyProposal(3, 1, message, signature)).toBe(true);
    expect(agent.verifyProposal(2, 1, message, signature)).toBe(false);
    expect(agent.verifyProposal(9, 1, message, signature)).toBe(false);
  });

  it('are never made without keys', () => {
    expect(() => agent.sign(1, bytes('vote'))).toThrow(/no keys/);
    expect(() => agent.signProposal(1, bytes('vote'))).toThrow(/no keys/);
    expect([agent.ownKey(1), agent.keyInForce(1), agent.heldKeys()]).toEqual([
      undefined,
      undefined,
      [],
    ]);
  });

  it('are those of the key in force at their height', () => {
    const fresh = keysOf('fresh');
    const all = own.map(({ key }) => key);
    const changing = new CustodianSets(new CustodianSet(all));
    changing.change(3, new CustodianSet(all.with(1, { ...fresh.key, nodeId: '1' })));
    const self = { nodeId: '1', ring: ringOf(own[1]!, fresh) };
    const scheme = blsScheme({ self, sets: changing });
    const message = bytes('vote');
    expect(() => scheme.sign(3, message)).toThrow(/may still change/);
    changing.advance(2);
    const [before, after] = [scheme.sign(2, message)!, scheme.sign(3, message)!];
    expect(scheme.verify(1, 2, message, before)).toBe(true);
    expect(scheme.verify(1, 3, message, before)).toBe(false);
    expect(scheme.verify(1, 3, message, after)).toBe(true);
    const proposal = scheme.signProposal(3, message)!;
    expect(scheme.verifyProposal(1, 3, message, proposal)).toBe(true);
    expect(scheme.verifyProposal(1, 2, message, proposal)).toBe(false);
    expect([scheme.ownKey(2), scheme.ownKey(3)]).toEqual(
      [own[1]!, fresh].map(({ key }) => hex(key.consensusKey)),
    );
    expect(scheme.knows(4)).toBe(false);
  });

  it('count by the indices of their height', () => {
    const changing = new CustodianSets(new CustodianSet(own.slice(1).map(({ key }) => key)));
    changing.change(2, new CustodianSet(own.map(({ key }) => key)));
    changing.change(3, new CustodianSet(own.slice(0, 2).map(({ key }) => key)));
    changing.advance(2);
    const self = { nodeId: '2', ring: ringOf(own[2]!) };
    const scheme = blsScheme({ self, sets: changing });
    const message = bytes('vote');
    expect([1, 2, 3].map((height) => scheme.custodiansAt(height))).toEqual([3, 4, 2]);
    expect([1, 2, 3].map((height) => scheme.ownIndex(height))).toEqual([1, 2, undefined]);
    expect([1, 2, 3].map((height) => scheme.nodeIdOf(1, height))).toEqual(['2', '1', '1']);
    const share = scheme.sign(1, message)!;
    expect([1, 2, 3].map((at) => scheme.verify(1, at, message, share))).toEqual([
      true,
      false,
      false,
    ]);
    // E5: at a height of others it signs nothing.
    expect([scheme.sign(3, message), scheme.signProposal(3, message)]).toEqual([
      undefined,
      undefined,
    ]);
    expect([scheme.ownKey(3), scheme.keyInForce(3)]).toEqual([undefined, undefined]);
  });

  it('are none where the key in force is not in the home, or its holder refuses', () => {
    const message = bytes('vote');
    const without = blsScheme({ self: { nodeId: '0', ring: ringOf(own[1]!) }, sets });
    expect([without.sign(1, message), without.signProposal(1, message)]).toEqual([
      undefined,
      undefined,
    ]);
    expect(without.ownKey(1)).toBeUndefined();
    expect(without.keyInForce(1)).toBe(hex(own[0]!.key.consensusKey));
    const refuse = (code: 'SIGNER_REFUSED' | 'SIGNER_UNREACHABLE' | 'BUG') => ({
      ...ringOf(own[0]!),
      identity: (publicKey: Uint8Array) => ({
        publicKey,
        sign: () => {
          throw new AegisError(code, 'no');
        },
      }),
    });
    const schemeOf = (ring: KeyRing) => blsScheme({ self: { nodeId: '0', ring }, sets });
    expect(schemeOf(refuse('SIGNER_REFUSED')).signProposal(1, message)).toBeUndefined();
    expect(schemeOf(refuse('SIGNER_UNREACHABLE')).signProposal(1, message)).toBeUndefined();
    expect(() => schemeOf(refuse('BUG')).signProposal(1, message)).toThrow('no');
  });
});
