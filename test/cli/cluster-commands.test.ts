/** `cluster` on real homes, from bundles to a common genesis. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import ClusterBundle from '../../src/commands/cluster/bundle.ts';
import ClusterCreate from '../../src/commands/cluster/create.ts';
import ClusterJoin from '../../src/commands/cluster/join.ts';
import ClusterShow from '../../src/commands/cluster/show.ts';
import * as cluster from '../../src/core/api/contract/cluster.ts';
import { fingerprint } from '../../src/core/model/bundle.ts';
import { type TestHome, withHomes, withoutAegisVariables } from './homes.ts';

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
