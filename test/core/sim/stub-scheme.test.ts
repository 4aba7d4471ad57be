import { describe, expect, it } from 'vitest';
import { StubKeyring } from '../../../src/core/sim/stub-scheme.ts';

const message = Buffer.from('message');
const other = Buffer.from('other');

describe('the signatures of the simulator', () => {
  const keyring = new StubKeyring('seed');
  const schemes = [0, 1, 2, 3].map((index) => keyring.votes(index, 4));
  const shares = schemes.map((scheme) => scheme.sign(1, message)!);

  it('hold for one signer and one message', () => {
    const [scheme] = schemes;
    expect(scheme!.verify(1, 1, message, shares[1]!)).toBe(true);
    expect(scheme!.verify(2, 1, message, shares[1]!)).toBe(false);
    expect(scheme!.verify(1, 1, other, shares[1]!)).toBe(false);
    expect(new StubKeyring('else').votes(0, 4).verify(1, 1, message, shares[1]!)).toBe(false);
    const proposal = schemes[1]!.signProposal(1, message)!;
    expect(scheme!.verifyProposal(1, 1, message, proposal)).toBe(true);
    expect(scheme!.verifyProposal(0, 1, message, proposal)).toBe(false);
    expect(scheme!.verify(1, 1, message, proposal)).toBe(false);
  });

  it('add up to an aggregate that names its signers, each as often as it signed', () => {
    const [scheme] = schemes;
    const sum = scheme!.aggregate(shares.slice(0, 3))!;
    const holds = (signers: readonly number[], signature = sum): boolean =>
      scheme!.verifyAggregate(1, [{ signers, message }], signature);
    expect(holds([0, 1, 2])).toBe(true);
    expect(holds([2, 1, 0])).toBe(true);
    expect(holds([0, 1])).toBe(false);
    expect(holds([0, 1, 3])).toBe(false);
    const twice = scheme!.aggregate([shares[0]!, shares[0]!, shares[1]!])!;
    expect(holds([1], twice)).toBe(false);
    expect(holds([0, 1], twice)).toBe(false);
    expect(scheme!.aggregate([shares[0]!, message])).toBeUndefined();
    expect(scheme!.aggregate([])).toBeUndefined();
    const mixed = scheme!.aggregate([shares[0]!, schemes[1]!.sign(1, other)!])!;
    const groups = [
      { signers: [0], message },
      { signers: [1], message: other },
    ];
    expect(scheme!.verifyAggregate(1, groups, mixed)).toBe(true);
    expect(scheme!.verifyAggregate(1, groups.slice(0, 1), mixed)).toBe(false);
  });

  it('prove seeds, and sign intents', () => {
    const proof = keyring.seeds(2).prove(1, message)!;
    expect(proof).toHaveLength(80);
    expect(keyring.seeds(0).verify(2, 1, message, proof)).toHaveLength(64);
    expect(keyring.seeds(0).verify(1, 1, message, proof)).toBeUndefined();
    expect(keyring.seeds(0).verify(2, 1, other, proof)).toBeUndefined();
    const [key, another] = [new Uint8Array(32), new Uint8Array(32).fill(1)];
    const signer = keyring.signer(key);
    const signature = signer.sign(message);
    expect(keyring.verifyIdentity(key, message, signature)).toBe(true);
    expect(keyring.verifyIdentity(another, message, signature)).toBe(false);
    expect(keyring.verifyIdentity(key, other, signature)).toBe(false);
  });
});
