import { beforeAll, describe, expect, it } from 'vitest';
import { blsScheme } from '../../../src/core/consensus/bls-scheme.ts';
import type { VoteScheme } from '../../../src/core/consensus/scheme.ts';
import { blsPublicKeyOf, blsSecretOf } from '../../../src/core/crypto/bls.ts';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { signerOf } from '../../../src/core/crypto/sign.ts';

const seed = (name: string): Uint8Array => sha256(Buffer.from(name));
const bytes = (text: string): Uint8Array => Buffer.from(text);

describe('the real signatures', () => {
  let schemes: VoteScheme[];
  let agent: VoteScheme;
  beforeAll(() => {
    const keys = [0, 1, 2, 3].map((index) => {
      const consensusSecret = blsSecretOf(seed(`bls ${index}`));
      return { index, consensusSecret, identity: signerOf(seed(`identity ${index}`)) };
    });
    const custodians = keys.map(({ consensusSecret, identity }) => ({
      consensusKey: blsPublicKeyOf(consensusSecret),
      identityKey: identity.publicKey,
    }));
    schemes = keys.map((self) => blsScheme({ self, custodians }));
    agent = blsScheme({ custodians });
  });

  it('are verified one by one and aggregated', () => {
    const message = bytes('vote');
    const shares = schemes.map((scheme) => scheme.sign(message));
    expect(schemes[0]!.sign(message)).toEqual(shares[0]);
    expect(agent.verify(2, message, shares[2]!)).toBe(true);
    expect(agent.verify(1, message, shares[2]!)).toBe(false);
    expect(agent.verify(9, message, shares[2]!)).toBe(false);
    const sum = agent.aggregate(shares.slice(0, 3))!;
    expect(agent.verifyAggregate([{ signers: [0, 1, 2], message }], sum)).toBe(true);
    expect(agent.verifyAggregate([{ signers: [0, 1, 3], message }], sum)).toBe(false);
    expect(agent.verifyAggregate([{ signers: [0, 1], message }], sum)).toBe(false);
    expect(agent.verifyAggregate([{ signers: [0, 1, 9], message }], sum)).toBe(false);
    expect(agent.verifyAggregate([], sum)).toBe(false);
  });

  it('are aggregated over several messages', () => {
    const [one, other] = [bytes('one'), bytes('other')];
    const shares = [schemes[0]!.sign(one), schemes[1]!.sign(other), schemes[2]!.sign(one)];
    const sum = agent.aggregate(shares)!;
    const groups = [
      { signers: [0, 2], message: one },
      { signers: [1], message: other },
    ];
    expect(agent.verifyAggregate(groups, sum)).toBe(true);
    expect(agent.verifyAggregate([groups[1]!, groups[0]!], sum)).toBe(true);
    const swapped = [
      { signers: [0, 1], message: one },
      { signers: [2], message: other },
    ];
    expect(agent.verifyAggregate(swapped, sum)).toBe(false);
  });

  it('refuse what is malformed', () => {
    expect(agent.aggregate([new Uint8Array(96)])).toBeUndefined();
    expect(agent.aggregate([])).toBeUndefined();
    expect(agent.verify(0, bytes('vote'), new Uint8Array(96))).toBe(false);
    expect(agent.verifyAggregate([{ signers: [0], message: bytes('x') }], new Uint8Array(3))).toBe(
      false,
    );
  });

  it('of proposals are those of the identity keys', () => {
    const message = bytes('proposal');
    const signature = schemes[3]!.signProposal(message);
    expect(agent.verifyProposal(3, message, signature)).toBe(true);
    expect(agent.verifyProposal(2, message, signature)).toBe(false);
    expect(agent.verifyProposal(9, message, signature)).toBe(false);
  });

  it('are never made by an agent', () => {
    expect(() => agent.sign(bytes('vote'))).toThrow(/agent/);
    expect(() => agent.signProposal(bytes('vote'))).toThrow(/agent/);
  });
});
