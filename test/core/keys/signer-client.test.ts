/** The client against signers that are real processes. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { seedAlpha } from '../../../src/core/chain/seeds.ts';
import { signBls } from '../../../src/core/crypto/bls.ts';
import { verifyEd25519 } from '../../../src/core/crypto/sign.ts';
import { verifyVrf } from '../../../src/core/crypto/vrf.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { RemoteRing } from '../../../src/core/keys/signer-client.ts';
import { SIGNER_FRAME_BYTES_MAX } from '../../../src/core/keys/signer-frames.ts';
import { encode } from '../../../src/core/model/cbor.ts';
import { signedMessage } from '../../../src/core/model/signed.ts';
import { withDirectory } from '../../helpers/keystores.ts';
import { testNode } from '../../helpers/nodes.ts';
import { killSigner, proposal, silentLog, socketIn, startSigner, vote } from './support/signer.ts';

/** Each test starts processes, on a machine that may have other work. */
vi.setConfig({ testTimeout: 90_000 });

const node = testNode(1);
const { consensusKey, vrfKey } = node.keys;

async function openRing(dir: string, deadlineMs = 1000): Promise<RemoteRing> {
  const known = {
    identity: [node.signer.publicKey],
    consensus: [consensusKey],
    vrf: [vrfKey],
  };
  const ring = await RemoteRing.open(
    { socket: socketIn(dir), known, deadlineMs },
    { log: silentLog },
  );
  onTestFinished(() => ring.close());
  return ring;
}

async function untilReached(ring: RemoteRing): Promise<void> {
  while (!ring.isReached) await sleep(5);
}

test('what is signed over the socket is what the key would have signed here', () =>
  withDirectory(async (dir) => {
    await startSigner(dir);
    const ring = await openRing(dir);
    expect(ring.description).toMatchObject({ nodeId: node.nodeId, inception: node.inception });
    expect(ring.heldConsensusKeys()).toEqual([Buffer.from(consensusKey).toString('hex')]);
    expect(ring.votes(consensusKey)!.sign(vote(1))).toEqual(signBls(node.consensusSecret, vote(1)));
    const alpha = seedAlpha(new Uint8Array(32), 1);
    expect(verifyVrf(vrfKey, alpha, ring.seeds(vrfKey)!.prove(alpha)!)).toBeDefined();
    const identity = ring.identity(node.signer.publicKey)!;
    const message = signedMessage('intent', encode({ v: 1, type: 'intent' }));
    expect(verifyEd25519(identity.publicKey, message, identity.sign(message))).toBe(true);
    expect(identity.sign(proposal(2))).toHaveLength(64);
    expect(ring.votes(new Uint8Array(48))).toBeUndefined();
    expect(ring.identity(new Uint8Array(32))).toBeUndefined();
    expect(ring.seeds(new Uint8Array(32))).toBeUndefined();
  }));

test('a refusal costs the vote, and the connection goes on', () =>
  withDirectory(async (dir) => {
    await startSigner(dir);
    const ring = await openRing(dir);
    const votes = ring.votes(consensusKey)!;
    const identity = ring.identity(node.signer.publicKey)!;
    expect(votes.sign(vote(5))).toBeDefined();
    expect(votes.sign(vote(5, 0, 'b'))).toBeUndefined();
    expect(votes.sign(vote(4))).toBeUndefined();
    expect(votes.sign(Buffer.from('anything'))).toBeUndefined();
    expect(identity.sign(proposal(5))).toHaveLength(64);
    const refused = (refusal: string) =>
      expect.objectContaining({ code: 'SIGNER_REFUSED', details: { refusal } });
    expect(() => identity.sign(proposal(5, 0, 'b'))).toThrow(refused('DOUBLE_SIGN'));
    expect(() => identity.sign(Buffer.from('anything'))).toThrow(refused('BAD_FORM'));
    expect(ring.isReached).toBe(true);
    expect(votes.sign(vote(6))).toBeDefined();
  }));

test('two nodes with one signer: the second gets nothing for a slot of the first', () =>
  withDirectory(async (dir) => {
    await startSigner(dir);
    const [first, second] = [await openRing(dir), await openRing(dir)];
    for (let height = 1; height <= 20; height += 1) {
      const one = first.votes(consensusKey)!.sign(vote(height));
      expect(one).toEqual(signBls(node.consensusSecret, vote(height)));
      expect(second.votes(consensusKey)!.sign(vote(height, 0, 'b'))).toBeUndefined();
      expect(second.votes(consensusKey)!.sign(vote(height))).toEqual(one);
    }
    expect([first.isReached, second.isReached]).toEqual([true, true]);
  }));

describe('without a signer nothing waits', () => {
  test('it was never there, and comes', () =>
    withDirectory(async (dir) => {
      const ring = await openRing(dir);
      expect(ring.votes(consensusKey)!.sign(vote(1))).toBeUndefined();
      const identity = ring.identity(node.signer.publicKey)!;
      const gone = expect.objectContaining({ code: 'SIGNER_UNREACHABLE' });
      expect(() => identity.sign(proposal(1))).toThrow(gone);
      await startSigner(dir);
      await untilReached(ring);
      expect(ring.votes(consensusKey)!.sign(vote(1))).toBeDefined();
    }));

  test('who may wait for it does so until it answers, and not for ever', () =>
    withDirectory(async (dir) => {
      const child = await startSigner(dir);
      const ring = await openRing(dir);
      await ring.reached();
      await killSigner(child);
      expect(ring.votes(consensusKey)!.sign(vote(1))).toBeUndefined();
      await ring.reached();
      expect(ring.isReached).toBe(false);
      await startSigner(dir);
      await ring.reached();
      expect(ring.votes(consensusKey)!.sign(vote(1))).toBeDefined();
    }));

  test('it is killed and comes back', () =>
    withDirectory(async (dir) => {
      const child = await startSigner(dir);
      const ring = await openRing(dir);
      const votes = ring.votes(consensusKey)!;
      expect(votes.sign(vote(1))).toBeDefined();
      await killSigner(child);
      expect(votes.sign(vote(2))).toBeUndefined();
      await startSigner(dir);
      await untilReached(ring);
      expect(votes.sign(vote(1, 0, 'b'))).toBeUndefined();
      expect(votes.sign(vote(2))).toBeDefined();
    }));

  test('it hangs: one vote waits for the deadline, the next ones do not', () =>
    withDirectory(async (dir) => {
      const child = await startSigner(dir, 'hangs');
      const ring = await openRing(dir, 200);
      const votes = ring.votes(consensusKey)!;
      expect(votes.sign(vote(1))).toBeUndefined();
      expect(ring.isReached).toBe(false);
      // A thousand deadlines would be more than the time that a test has.
      for (let height = 2; height < 1000; height += 1) {
        expect(votes.sign(vote(height))).toBeUndefined();
      }
      await killSigner(child);
      await startSigner(dir);
      // On a busy machine a vote may still miss the short deadline; one of them does not.
      let signed: Uint8Array | undefined;
      for (let height = 1000; signed === undefined; height += 1) {
        await untilReached(ring);
        signed = votes.sign(vote(height));
      }
    }));
});

test('a signer that talks nonsense costs the vote, and nothing else', () =>
  withDirectory(async (dir) => {
    await startSigner(dir, 'babbles');
    const ring = await openRing(dir);
    const votes = ring.votes(consensusKey)!;
    // What is no reply, and a signature that is too short.
    for (let height = 1; height <= 4; height += 1) {
      expect(votes.sign(vote(height))).toBeUndefined();
    }
    const identity = ring.identity(node.signer.publicKey)!;
    const code = (message: Uint8Array): unknown => {
      try {
        return identity.sign(message);
      } catch (error) {
        return hasCode(error, 'SIGNER_REFUSED', 'SIGNER_UNREACHABLE') ? error.code : error;
      }
    };
    expect(code(proposal(1))).toBe('SIGNER_UNREACHABLE');
    expect(code(new Uint8Array(SIGNER_FRAME_BYTES_MAX))).toBe('SIGNER_REFUSED');
    expect(ring.isReached).toBe(true);
  }));

describe('kill -9', () => {
  test('between the durable guard and the answer: the same bytes, or none', () =>
    withDirectory(async (dir) => {
      const child = await startSigner(dir, 'dies');
      const ring = await openRing(dir);
      const votes = ring.votes(consensusKey)!;
      expect(votes.sign(vote(1))).toBeUndefined();
      await killSigner(child);
      await startSigner(dir);
      await untilReached(ring);
      expect(votes.sign(vote(1, 0, 'b'))).toBeUndefined();
      expect(votes.sign(vote(1))).toEqual(signBls(node.consensusSecret, vote(1)));
    }));

  test('at any moment: never two signatures for a slot', () =>
    withDirectory(async (dir) => {
      const signed = new Map<number, string>();
      let height = 0;
      for (let round = 0; round < 5; round += 1) {
        const digest = 'abcde'[round]!;
        const child = await startSigner(join(dir, 'signer'));
        const ring = await openRing(join(dir, 'signer'));
        await untilReached(ring);
        const votes = ring.votes(consensusKey)!;
        // What was asked last in the round before, with other bytes.
        for (let again = Math.max(1, height - 30); again <= height; again += 1) {
          const signature = votes.sign(vote(again, 0, digest));
          if (signature !== undefined) {
            expect(signed.has(again), `height ${again}`).toBe(false);
            signed.set(again, digest);
          }
        }
        const first = height + 1;
        for (let n = 0; ring.isReached; n += 1) {
          height += 1;
          if (votes.sign(vote(height, 0, digest)) !== undefined) signed.set(height, digest);
          // In the middle of the work, wherever that is.
          if (n === 20 + 7 * round) child.kill('SIGKILL');
        }
        expect(signed.has(first)).toBe(true);
        await killSigner(child);
        await ring.close();
      }
    }));
});
