/** The homes of simulated nodes, and what the simulator itself knows of keys. */
import { expect, it } from 'vitest';
import { timeoutMessage } from '../../../src/core/consensus/signed-bytes.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { stubCrypto } from '../../../src/core/sim/consensus-tools.ts';
import { nameOfKey, SimHome } from '../../../src/core/sim/home.ts';
import { Truth } from '../../../src/core/sim/truth.ts';

const crypto = stubCrypto('keys');
const voting = [0, 1, 2].map((number) => crypto.voting('node', number));
const [first, second, third] = voting as [
  (typeof voting)[0],
  (typeof voting)[0],
  (typeof voting)[0],
];
const names = voting.map(({ consensusKey }) => nameOfKey(consensusKey));
const identity = crypto.identity(crypto.successor('node', 0));

it('a home signs with what it holds, unless it refuses', () => {
  const home = new SimHome();
  home.add(identity, first);
  const message = Buffer.from('message');
  expect(home.votes(first.consensusKey)?.sign(message)).toEqual(first.voter.sign(message));
  expect(home.votes(second.consensusKey)).toBeUndefined();
  expect(home.seeds(first.vrfKey)?.prove(message)).toHaveLength(80);
  expect(home.identity(identity.publicKey)?.sign(message)).toEqual(identity.sign(message));
  home.isRefusing = 'no';
  expect(home.votes(first.consensusKey)?.sign(message)).toBeUndefined();
  expect(home.seeds(first.vrfKey)?.prove(message)).toBeUndefined();
  expect(() => home.identity(identity.publicKey)?.sign(message)).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'SIGNER_UNREACHABLE')) as Error,
  );
  expect(home.signer(identity.publicKey)?.sign(message)).toEqual(identity.sign(message));
});

it('a signer whose answer was lost signs the same again, and nothing else in its place', () => {
  const home = new SimHome();
  home.add(identity, first);
  const sign = (highView: number | undefined) =>
    home.votes(first.consensusKey)?.sign(timeoutMessage('cluster', 1, 0, highView));
  home.isRefusing = 'lost';
  expect(sign(undefined)).toBeUndefined();
  home.isRefusing = undefined;
  expect([sign(3), sign(undefined)?.length]).toEqual([undefined, 96]);
});

it('a home from a backup is marked with the keys it brought, until another is in force', () => {
  const home = new SimHome();
  home.add(identity, first);
  home.add(undefined, second);
  home.erase([first.consensusKey]);
  expect(home.heldConsensusKeys()).toEqual([names[1]]);
  home.restore(0.5);
  expect(home.marker).toEqual([names[0], names[1]]);
  home.settle(second.consensusKey);
  home.settle(third.consensusKey);
  home.add(undefined, third);
  expect(home.heldConsensusKeys()).toEqual([names[0], names[1]]);
  home.settle(third.consensusKey);
  expect([home.marker, home.heldConsensusKeys()]).toEqual([undefined, names]);
});

it('the truth about custodians follows the blocks', () => {
  const [a, b, c] = [keyOf('a', 0), keyOf('b', 1), keyOf('c', 2)];
  const truth = new Truth([b, a]);
  expect([truth.knows(1), truth.knows(2), truth.since('a')]).toEqual([true, false, 1]);
  const changed = { ...b, consensusKey: c.consensusKey };
  truth.change(1, [a, changed]);
  truth.advance(1);
  expect([1, 2, 9].map((height) => truth.keyOf('b', height))).toEqual([b, changed, changed]);
  expect([truth.keyOf('c', 9), truth.knows(2), truth.since('a'), truth.since('b')]).toEqual([
    undefined,
    true,
    1,
    2,
  ]);
  truth.change(4, [a, changed, c, keyOf('d', 1)]);
  expect([1, 4, 5].map((height) => truth.at(height).size)).toEqual([2, 2, 4]);
  expect([truth.faultyMax(4), truth.faultyMax(5)]).toEqual([0, 1]);
  truth.change(5, [a, c, keyOf('d', 1)]);
  expect([truth.since('a'), truth.since('b'), truth.since('c')]).toEqual([1, 0, 5]);
  expect(truth.handovers()).toEqual([1, 4, 5]);
  expect(truth.latest.nodeIds).toEqual(['a', 'c', 'd']);
});

function keyOf(nodeId: string, number: number) {
  const { consensusKey, vrfKey } = voting[number]!;
  return { nodeId, consensusKey, vrfKey, identityKey: identity.publicKey };
}
