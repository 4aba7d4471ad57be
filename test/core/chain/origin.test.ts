/** R2: a cluster that goes on from the state of another one. */
import { describe, expect, it } from 'vitest';
import { decodeOrigin, encodeOrigin } from '../../../src/core/chain/origin-file.ts';
import { TABLES } from '../../../src/core/chain/rows.ts';
import { createGenesis } from '../../../src/core/model/genesis.ts';
import { createDeparture, NO_ADMISSION } from '../../../src/core/model/membership.ts';
import { createProposal } from '../../../src/core/model/proposals.ts';
import { createDuplicity } from '../../../src/core/model/statement.ts';
import { Owner } from '../../helpers/owner.ts';
import { Alone, bundleOf, goOn } from './support/alone.ts';
import { versionOf } from './support/fixtures.ts';

/** A cluster of one custodian and agents, who have rotated and left. */
function setUp() {
  const [custodian, agent, leaver] = [new Owner(1), new Owner(2), new Owner(3)];
  const bundles = [
    bundleOf(custodian, 'custodian'),
    bundleOf(agent, 'agent'),
    bundleOf(leaver, 'agent'),
  ];
  const old = new Alone(custodian, createGenesis({ name: 'old', createdAt: 1, bundles }));
  old.write('a', 'a1');
  old.handIn(agent.rotate(['identity'], { sealed: 3 }).bytes);
  old.handIn(custodian.rotate(['consensus', 'identity'], { sealed: 1 }).bytes);
  const { nodeId } = leaver;
  const { clusterId } = old.genesis;
  const departure = { clusterId, nodeId, keyEpoch: 0, admission: NO_ADMISSION, time: 1 };
  old.handIn(createDeparture(departure, leaver.identity).bytes);
  old.write('a', 'a2');
  old.write('b', 'b1');
  return { old, custodian, agent, leaver };
}

describe('a cluster that goes on', () => {
  it('has the state of the one before, with the sequences of accounts', () => {
    const { old, custodian } = setUp();
    const next = new Alone(custodian, goOn(old, [custodian]), old.origin.rows);
    expect(next.genesis.clusterId).not.toBe(old.genesis.clusterId);
    expect(next.chain.height).toBe(0);
    for (const path of ['a', 'b', 'c']) expect(next.chain.ref(path)).toEqual(old.chain.ref(path));
    expect(next.chain.prove('a')).toEqual({ ...old.chain.prove('a'), height: 0 });
    const sequence = old.chain.nextSequence(custodian.nodeId);
    expect(next.chain.nextSequence(custodian.nodeId)).toBe(sequence);
    next.write('a', 'a3');
    expect(next.chain.height).toBe(1);
    expect(next.chain.ref('a')?.heads.map(({ version }) => version)).toEqual([versionOf('a3')]);
    // Keys of the state are those of the oldest cluster.
    const key = old.genesis.names.refKey('a');
    expect(next.rows.has(`${TABLES.state} ${key}`)).toBe(true);
  });

  it('has the rights, parameters and anchors of the one before, and none of its proposals', () => {
    const { old, custodian, agent } = setUp();
    const { nodeId } = agent;
    const { clusterId, names } = old.genesis;
    const nonce = new Uint8Array(16);
    const { keyEpoch } = custodian.state;
    const times = { createdAt: 1, expiresAt: 2_000_000 };
    const proposal = createProposal(
      {
        ...{ clusterId, proposer: custodian.nodeId, keyEpoch, nonce, at: 0, ...times },
        changes: [
          { op: 'namespace', path: 'x', owners: [nodeId], writers: [] },
          { op: 'parameter', name: 'openWrites', value: 0 },
          { op: 'quota', nodeId, changesPerHour: 9, bytesPerHour: null, paths: null },
        ],
      },
      names,
      custodian.identity,
    );
    old.handIn(proposal.bytes);
    old.write('late', 'l1');
    expect(old.chain.ref('late')).toBeUndefined();
    const next = new Alone(custodian, goOn(old, [custodian]), old.origin.rows);
    expect(next.chain.namespaces()).toEqual([{ path: 'x', owners: [nodeId], writers: [] }]);
    expect(next.chain.parameters().openWrites).toBe(0);
    expect(next.chain.usage(nodeId).limits?.changesPerHour).toBe(9);
    expect([old.chain.proposals().length, next.chain.proposals()]).toEqual([1, []]);
    expect(next.chain.proveDirectory('').proof).toEqual(old.chain.proveDirectory('').proof);
    next.write('late', 'l2');
    expect([next.chain.height, next.chain.ref('late')]).toEqual([0, undefined]);
  });

  it('has the members of its genesis, and knows who may have signed versions before', () => {
    const { old, custodian, agent, leaver } = setUp();
    const third = new Owner(9);
    const next = new Alone(custodian, goOn(old, [custodian, third]), old.origin.rows);
    const { roster } = next.chain;
    expect(
      roster
        .members()
        .map(({ nodeId }) => nodeId)
        .toSorted(),
    ).toEqual([custodian.nodeId, third.nodeId].toSorted());
    expect(roster.get(custodian.nodeId)?.keys).toEqual(custodian.state);
    for (const { nodeId } of [agent, leaver]) {
      expect([roster.isMember(nodeId), roster.get(nodeId)]).toEqual([false, undefined]);
      expect(roster.author(nodeId)?.status).toBe('left');
    }
    const { origin, nodeId, state } = agent;
    expect(roster.identityKey(nodeId, 0, 3)).toEqual(origin.keys.identityKey);
    // A3
    expect(roster.identityKey(nodeId, 0, 4)).toBeUndefined();
    expect(roster.identityKey(nodeId, 1, 4)).toEqual(state.keys.identityKey);
  });

  it('can be gone on from again', () => {
    const { old, custodian, agent } = setUp();
    const second = new Alone(custodian, goOn(old, [custodian]), old.origin.rows);
    second.write('a', 'a3');
    second.handIn(custodian.rotate(['network']).bytes);
    const third = new Alone(custodian, goOn(second, [custodian]), second.origin.rows);
    expect(third.genesis.origin?.names).toEqual(old.genesis.names.key);
    expect(third.chain.ref('a')).toEqual(second.chain.ref('a'));
    third.write('a', 'a4');
    expect(third.chain.ref('a')?.heads.map(({ version }) => version)).toEqual([versionOf('a4')]);
    expect(third.chain.roster.author(agent.nodeId)?.keys).toEqual(agent.state);
    // And a restart finds it all again.
    const again = new Alone(custodian, third.bytes, third.rows.values());
    expect(again.chain.tip().digest).toBe(third.chain.tip().digest);
    expect(again.chain.roster.author(agent.nodeId)?.keys).toEqual(agent.state);
  });

  it('takes no key back, and nobody who is frozen', () => {
    const { old, agent } = setUp();
    // An old copy of the agent's home; its bundle knows nothing of its rotation.
    const copy = new Owner(2);
    const stale = goOn(old, [copy]);
    expect(() => new Alone(copy, stale, old.origin.rows)).toThrow(/not its last ones/);
    expect(new Alone(agent, goOn(old, [agent]), old.origin.rows).chain.height).toBe(0);
    const forks = [agent.prepare(['network'], {}, 'a'), agent.prepare(['network'], {}, 'b')];
    old.handIn(createDuplicity(forks[0]!, forks[1]!));
    expect(() => new Alone(agent, goOn(old, [agent]), old.origin.rows)).toThrow(/frozen/);
  });

  it('does not begin with another state, or with other former members', () => {
    const { old, custodian } = setUp();
    const genesis = goOn(old, [custodian]);
    const { rows } = old.origin;
    const without = (table: string) => {
      const at = rows.findIndex((row) => row.table === table);
      return rows.toSpliced(at, 1);
    };
    expect(() => new Alone(custodian, genesis)).toThrow(/damaged/);
    expect(() => new Alone(custodian, genesis, without(TABLES.state))).toThrow(/damaged/);
    const formers = rows.filter(({ table }) => table === TABLES.former);
    expect(formers.length).toBeGreaterThan(2);
    for (const former of formers) {
      const rest = rows.filter((row) => row !== former);
      expect(() => new Alone(custodian, genesis, rest)).toThrow(/damaged/);
    }
    // The custodians have agreed to a state, and not to the name by which its keys are found.
    const names = new Uint8Array(32).fill(7);
    const strange = goOn(old, [custodian], names);
    expect(() => new Alone(custodian, strange, rows)).toThrow(/damaged/);
    // One that was final after the state, or another one altogether.
    old.write('c', 'c1');
    expect(() => new Alone(custodian, genesis, old.origin.rows)).toThrow(/damaged/);
  });
});

describe('a state file', () => {
  const tables = [TABLES.state, TABLES.former];
  const { origin } = setUp().old;
  const file = Buffer.concat([...encodeOrigin(origin)]);

  it('comes back as it was, in parts of bounded size', () => {
    expect(decodeOrigin(file, tables)).toEqual(origin);
    const row = { table: TABLES.state, key: 'k', value: new Uint8Array(300_000) };
    const rows = Array.from({ length: 10 }, (_, at) => ({ ...row, key: `k${at}` }));
    const large = { head: origin.head, rows };
    const parts = [...encodeOrigin(large)];
    expect(parts.length).toBeGreaterThan(3);
    for (const part of parts) expect(part.length).toBeLessThan(2 ** 21);
    expect(decodeOrigin(Buffer.concat(parts), tables)).toEqual(large);
  });

  it('is refused when it is cut, changed in its form, or holds what does not belong there', () => {
    for (let end = 0; end < file.length; end += 97) {
      expect(() => decodeOrigin(file.subarray(0, end), tables)).toThrow();
    }
    expect(() => decodeOrigin(file, [TABLES.state])).toThrow(/does not belong/);
    const parts = [...encodeOrigin(origin)];
    expect(() => decodeOrigin(Buffer.concat(parts.toSpliced(1, 1)), tables)).toThrow(/too early/);
    const huge = Buffer.alloc(8, 0xff);
    expect(() => decodeOrigin(huge, tables)).toThrow(/too early/);
  });
});
