/** `cluster` on real homes, from bundles to a common genesis. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import ClusterBundle from '../../src/commands/cluster/bundle.ts';
import ClusterCreate from '../../src/commands/cluster/create.ts';
import ClusterInvite from '../../src/commands/cluster/invite.ts';
import ClusterJoin from '../../src/commands/cluster/join.ts';
import ClusterRejoin from '../../src/commands/cluster/rejoin.ts';
import ClusterShow from '../../src/commands/cluster/show.ts';
import * as cluster from '../../src/core/api/contract/cluster.ts';
import { Keystore } from '../../src/core/keys/keystore.ts';
import { fingerprint } from '../../src/core/model/bundle.ts';
import { genesisFromText } from '../../src/core/model/genesis.ts';
import { invitationToText } from '../../src/core/model/invitation-file.ts';
import { createInvitation, type Invitation } from '../../src/core/model/membership.ts';
import { PASSPHRASE, type TestHome, withHomes, withoutAegisVariables } from './homes.ts';

beforeAll(withoutAegisVariables);

test('bundles become a genesis, which the others join', async () => {
  await withHomes(['a', 'b', 'c'], async (a, b, c) => {
    const at = (name: string): string => a.at(name);
    const marks: string[] = [];
    for (const [index, home] of [a, b, c].entries()) {
      const nodeId = await home.make(`/ip4/127.0.0.1/tcp/${5000 + index}`);
      const out = at(`${home.name}.bundle`);
      // The last one does not vote.
      const role = index === 2 ? 'agent' : 'custodian';
      const argv = ['--out', out, '--role', role, ...home.with];
      const bundle = await home.json(ClusterBundle, cluster.clusterBundleResult, ...argv);
      expect(bundle).toMatchObject({ fingerprint: fingerprint(nodeId), role });
      expect(await readFile(out, 'utf8')).toBe(bundle.bundle);
      marks.push(bundle.fingerprint);
    }
    const create = (home: TestHome, names: string[], ...argv: string[]) =>
      home.json(ClusterCreate, cluster.clusterCreateResult, ...names.map(at), ...argv);
    const named = ['--name', 'notes', '--out', at('g')];
    await expect(create(a, ['a.bundle', 'a.bundle'], ...named)).rejects.toThrow('the same node id');
    await expect(create(a, ['b.bundle'], ...named)).rejects.toThrow('not among the members');
    await writeFile(at('bad'), (await readFile(at('b.bundle'), 'utf8')).replace('A', 'B'));
    await expect(create(a, ['a.bundle', 'bad'], ...named)).rejects.toMatchObject({ exit: 65 });
    await expect(a.text(ClusterShow)).rejects.toMatchObject({ code: 'NOT_FOUND', exit: 66 });

    const made = await create(a, ['a.bundle', 'b.bundle'], ...named);
    expect(made.custodians.map((member) => member.fingerprint).toSorted()).toEqual(
      marks.slice(0, 2).toSorted(),
    );
    await expect(create(a, ['a.bundle'], ...named)).rejects.toMatchObject({ code: 'EXISTS' });

    const join_ = (home: TestHome, file: string) =>
      home.json(ClusterJoin, cluster.clusterJoinResult, at(file));
    expect(await join_(b, 'g')).toMatchObject({ joined: true, clusterId: made.clusterId });
    expect(await join_(b, 'g')).toMatchObject({ joined: false });
    await expect(join_(c, 'g')).rejects.toThrow('not among the members');
    const other = ['--name', 'other', '--out', at('g2')];
    await expect(create(c, ['c.bundle'], ...other)).rejects.toThrow('1 to 256 custodians');
    const mixed = await create(c, ['c.bundle', 'b.bundle'], ...other);
    expect(mixed.custodians.map(({ name, role }) => [name, role])).toEqual([['b', 'custodian']]);
    expect(mixed.agents.map(({ name, role, self }) => [name, role, self])).toEqual([
      ['c', 'agent', true],
    ]);
    expect(await c.text(ClusterShow)).toMatch(/^agents +1$/m);
    await expect(join_(b, 'g2')).rejects.toMatchObject({ code: 'EXISTS', exit: 73 });
    const shown = await b.json(ClusterShow, cluster.clusterShowResult);
    expect(shown.custodians.filter((member) => member.self).map(({ name }) => name)).toEqual(['b']);
    expect(await b.text(ClusterShow)).toContain('b (this node)');
    expect((await readdir(join(b.dir, 'data'))).includes('genesis.cbor')).toBe(true);
  });
});

test('a bundle without an address that others can dial is refused', async () => {
  await withHomes(['a'], async (home) => {
    await home.make();
    const bundle = (...argv: string[]) =>
      home.json(ClusterBundle, cluster.clusterBundleResult, ...home.with, ...argv);
    await expect(bundle()).rejects.toMatchObject({ code: 'USAGE', exit: 2 });
    expect((await bundle('--no-address')).addresses).toEqual([]);
    const address = '/dns4/a.example/tcp/4001';
    expect((await bundle('--address', address)).addresses).toEqual([address]);
    await expect(bundle('--address', 'a.example:4001')).rejects.toMatchObject({ exit: 2 });
  });
});

/** Founds a cluster of one custodian; returns its genesis file. */
async function found(home: TestHome, name: string): Promise<cluster.ClusterCreateResult> {
  const out = home.at(`${name}.bundle`);
  await home.text(ClusterBundle, '--no-address', '--out', out, ...home.with);
  const argv = [out, '--name', name, '--out', home.at(`${name}.genesis`)];
  return await home.json(ClusterCreate, cluster.clusterCreateResult, ...argv);
}

/** Writes an invitation that the custodian of `home` signs. */
async function inviteTo(
  home: TestHome,
  made: cluster.ClusterCreateResult,
  invitation: Pick<Invitation, 'nodeId'> & Partial<Invitation>,
): Promise<string> {
  const dir = join(home.dir, 'keys');
  using keystore = await Keystore.open({ dir, passphrase: PASSPHRASE });
  const fields = {
    clusterId: made.clusterId,
    id: 'ab'.repeat(16),
    inviter: keystore.nodeId,
    keyEpoch: 0,
    createdAt: Date.now() - 1000,
    expiresAt: Date.now() + 3_600_000,
    ...invitation,
  };
  const { bytes } = createInvitation(fields, keystore.signer);
  const parts = { addresses: [], successions: [], invitation: bytes };
  return invitationToText({ genesis: genesisFromText(made.genesis), ...parts });
}

test('an invited node takes the invitation, and nobody else can', async () => {
  await withHomes(['a', 'b', 'c'], async (a, b, c) => {
    await a.make();
    await b.make();
    const nodeId = await c.make();
    const made = await found(a, 'notes');
    const other = await found(b, 'other');
    const file = a.at('c.invitation');
    const take = (home: TestHome) => home.json(ClusterJoin, cluster.clusterJoinResult, file);
    const kept = join(c.dir, 'data', 'invitation.txt');

    await writeFile(file, await inviteTo(a, made, { nodeId, expiresAt: Date.now() - 1 }));
    await expect(take(c)).rejects.toMatchObject({ code: 'CHECK_FAILED', exit: 1 });
    await writeFile(file, await inviteTo(b, made, { nodeId }));
    await expect(take(c)).rejects.toThrow('not by a member of the cluster');
    const text = await inviteTo(a, made, { nodeId });
    await writeFile(file, text);
    await expect(take(b)).rejects.toMatchObject({ code: 'DENIED' });
    expect((await readdir(join(c.dir, 'data'))).includes('genesis.cbor')).toBe(false);

    const first = await take(c);
    expect(first).toMatchObject({ joined: true, clusterId: made.clusterId });
    expect(first.invitation).toMatchObject({ id: 'ab'.repeat(16), inviter: { name: 'a' } });
    expect(await readFile(kept, 'utf8')).toBe(text);
    expect((await stat(kept)).mode & 0o777).toBe(0o600);
    expect(await take(c)).toMatchObject({ joined: false });
    expect(await c.text(ClusterShow)).toMatch(/^cluster +notes$/m);

    const again = await inviteTo(a, made, { nodeId, id: 'cd'.repeat(16) });
    await writeFile(file, again);
    const back = await c.json(ClusterRejoin, cluster.clusterRejoinResult, file);
    expect(back.invitation.id).toBe('cd'.repeat(16));
    expect(await readFile(kept, 'utf8')).toBe(again);
    const rejoin = (path: string) => c.text(ClusterRejoin, path);
    await expect(rejoin(a.at('notes.genesis'))).rejects.toThrow('a return takes an invitation');
    await writeFile(file, await inviteTo(b, other, { nodeId }));
    await expect(rejoin(file)).rejects.toThrow('for another cluster');
    await expect(take(c)).rejects.toMatchObject({ code: 'EXISTS', exit: 73 });
    await writeFile(file, await inviteTo(a, made, { nodeId: first.custodians[0]!.nodeId }));
    await expect(rejoin(file)).rejects.toMatchObject({ code: 'DENIED', exit: 77 });
    expect(await readFile(kept, 'utf8')).toBe(again);
  });
});

test('who is in no cluster does not return to it, and a custodian is not invited', async () => {
  await withHomes(['a', 'c'], async (a, c) => {
    await a.make();
    const nodeId = await c.make();
    const made = await found(a, 'notes');
    const file = a.at('c.invitation');
    await writeFile(file, await inviteTo(a, made, { nodeId }));
    await expect(c.text(ClusterRejoin, file)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(a.text(ClusterInvite, a.at('notes.bundle'))).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      hint: 'Make it again: aegis cluster bundle --role agent',
    });
    await c.text(ClusterBundle, '--role=agent', '--no-address', '--out', a.at('agent'), ...c.with);
    const invite = (what: string) => a.text(ClusterInvite, what, '-o', a.at('x'));
    await expect(invite(a.at('agent'))).rejects.toMatchObject({ code: 'DAEMON_UNREACHABLE' });
    await expect(invite(nodeId)).rejects.toMatchObject({ code: 'DAEMON_UNREACHABLE' });
    await expect(invite(file)).rejects.toMatchObject({ code: 'BAD_ENCODING' });
    const { isTTY } = process.stdout;
    process.stdout.isTTY = true;
    try {
      await expect(a.text(ClusterInvite, nodeId)).rejects.toMatchObject({ code: 'USAGE' });
    } finally {
      process.stdout.isTTY = isTTY;
    }
    await writeFile(a.at('x'), '');
    await expect(invite(nodeId)).rejects.toMatchObject({ code: 'EXISTS' });
  });
});
