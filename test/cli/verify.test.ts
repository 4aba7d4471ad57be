/** `aegis verify` on files alone: no home, no daemon. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CID } from 'multiformats/cid';
import * as v from 'valibot';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cidOfPath } from '../../src/cli/kb/cid.ts';
import Verify from '../../src/commands/verify.ts';
import { verifyResult } from '../../src/core/api/contract/proofs.ts';
import { sha256Hex } from '../../src/core/crypto/hash.ts';
import type { AegisError } from '../../src/core/errors.ts';
import { genesisToText } from '../../src/core/model/genesis.ts';
import { buildProof, directoryClaim, pathClaim } from '../../src/core/proof/build.ts';
import type { Claim } from '../../src/core/proof/types.ts';
import { createHasher } from '../../src/core/storage/hasher.ts';
import { entryOf, History } from '../core/proof/support/history.ts';
import { run } from './command.ts';
import { withoutAegisVariables } from './homes.ts';

const history = new History('verify');
let root: string;
const at = (...parts: string[]): string => join(root, ...parts);

const claimOf = (path: string): Claim => {
  const key = history.names.refKey(path);
  const lineage = history.paths.get(path)?.heads.slice(0, 1) ?? [];
  const placed = { ...history.tree.prove(key), value: history.tree.get(key) };
  return pathClaim(
    path,
    placed,
    lineage.map(({ bytes }) => bytes),
  );
};

async function writeProof(name: string, claims: readonly Claim[], trusted?: History['tip']) {
  const custodians = history.first.map(entryOf);
  const { clusterId, handovers, tip } = history;
  const parts = { clusterId, custodians, handovers, tip, claims, checkpoint: trusted };
  await writeFile(at(name), buildProof(parts));
}

/** Runs it without a home; what it says, or why it refuses. */
async function verify(...argv: string[]): Promise<string> {
  const { stdout, error } = await run(Verify, ['--home', at('nowhere'), ...argv]);
  if (error !== undefined) throw error as AegisError;
  return stdout;
}

beforeAll(async () => {
  withoutAegisVariables();
  root = await mkdtemp(join(tmpdir(), 'aegis-verify-'));
  await mkdir(at('site', 'below', 'empty'), { recursive: true });
  await writeFile(at('plan.md'), 'the plan\n');
  await writeFile(at('big'), new Uint8Array(2 ** 20 + 1));
  await writeFile(at('site', 'below', 'file'), 'x');
  const roots: [string, CID][] = [];
  for (const [path, file] of [
    ['notes/plan', 'plan.md'],
    ['big', 'big'],
    ['www', 'site'],
  ] as const) {
    roots.push([path, await cidOfPath(at(file), await createHasher('blake3'))]);
  }
  roots.push(['sha', await cidOfPath(at('big'), await createHasher('sha2-256'))]);
  for (const [path, cid] of roots) history.write(path, 'next', cid);
  history.write('gone');
  history.write('gone', 'deletion');
  history.write('two');
  history.write('two', 'conflict');
  history.rotate();
  history.block();
  await writeFile(at('genesis'), genesisToText(history.genesis));
  await writeFile(at('genesis.cbor'), history.genesis);
  const { siblings } = history.tree.prove(history.names.tagOf('').padEnd(64, '0'));
  const isInRoot = (path: string) => !path.includes('/');
  const { names } = history;
  const keys = [...history.paths.keys()].filter(isInRoot).map((path) => names.refKey(path));
  const leaves = [...keys, names.markKey('notes')].toSorted().map((key) => {
    return { key, value: history.tree.get(key)! };
  });
  const directory = directoryClaim('', { siblings: siblings.slice(0, 64), leaves });
  for (const path of [...history.paths.keys(), 'none\u001b']) {
    await writeProof(`${path.replace('/', '-')}.proof`, [claimOf(path)]);
  }
  await writeProof('root.proof', [directory, claimOf('nothing')]);
});
afterAll(() => rm(root, { recursive: true, force: true }));

it('says what a version was, as text and as JSON', async () => {
  const { cid } = history.paths.get('notes/plan')!.heads[0]!;
  for (const genesis of ['genesis', 'genesis.cbor']) {
    const text = await verify(at('notes-plan.proof'), '--genesis', at(genesis));
    expect(text).toContain(`holds at  height ${history.tip.height}, block of 20`);
    expect(text).toContain('trusted   the genesis');
    expect(text).toContain(`path notes/plan\n  version ${cid.toString()}\n`);
  }
  const json = JSON.parse(await verify(at('notes-plan.proof'), '-g', at('genesis'), '--json'));
  expect(v.parse(verifyResult, json)).toEqual(json);
  expect(json).toMatchObject({
    ...{ clusterId: history.clusterId, height: history.tip.height, from: 0, certificates: 2 },
    claims: [{ type: 'value', version: { version: cid.toString(), head: true, deleted: false } }],
    content: null,
  });
});

it('says what was not there, what was deleted, and all that was in a directory', async () => {
  const absent = await verify(at('none\u001b.proof'), '-g', at('genesis'));
  expect(absent).toMatch(/^none\\u001b: there is nothing$/m);
  expect(await verify(at('gone.proof'), '-g', at('genesis'))).toMatch(/^ {2}deleted$/m);
  expect(await verify(at('two.proof'), '-g', at('genesis'))).toMatch(/^besides:\n {2}head bafy/m);
  const listed = await verify(at('root.proof'), '-g', at('genesis'));
  const names = ['notes/', 'big', 'gone  deleted', 'sha', 'two', 'www'].map((name) => `  ${name}`);
  expect(listed).toContain(['directory the root', ...names].join('\n'));
  const json = JSON.parse(await verify(at('root.proof'), '-g', at('genesis'), '--json'));
  expect(v.parse(verifyResult, json)).toEqual(json);
});

it('compares a file, a large one and a directory with the version', async () => {
  const same = [
    ['notes-plan', 'plan.md'],
    ['big', 'big'],
    ['sha', 'big'],
    ['www', 'site'],
  ] as const;
  for (const [proof, file] of same) {
    const argv = [at(`${proof}.proof`), '-g', at('genesis'), '--content', at(file)];
    expect(await verify(...argv)).toContain(`content   ${at(file)} is baf`);
  }
  const other = verify(at('www.proof'), '-g', at('genesis'), '--content', at('plan.md'));
  await expect(other).rejects.toMatchObject({ code: 'BAD_HASH', exit: 65 });
  const deleted = verify(at('gone.proof'), '-g', at('genesis'), '--content', at('plan.md'));
  await expect(deleted).rejects.toMatchObject({ code: 'BAD_HASH' });
  const unnamed = verify(at('root.proof'), '-g', at('genesis'), '--content', at('plan.md'));
  await expect(unnamed).rejects.toMatchObject({ code: 'USAGE' });
  const missing = verify(at('www.proof'), '-g', at('genesis'), '--content', at('missing'));
  await expect(missing).rejects.toMatchObject({ code: 'UNREADABLE', exit: 66 });
});

it('begins at a checkpoint', async () => {
  const [first] = history.blocks;
  const digest = sha256Hex(first!.header);
  await writeProof('late.proof', [claimOf('big')], first);
  const argv = [at('late.proof'), '-g', at('genesis')];
  const text = await verify(...argv, '--checkpoint', `${first!.height}:${digest}`);
  expect(text).toContain(`trusted   the checkpoint at height ${first!.height}`);
  await expect(verify(...argv)).rejects.toMatchObject({
    code: 'BAD_PROOF',
    hint: `It may be a checkpoint, which you trust: --checkpoint ${first!.height}:HASH`,
  });
  const wrong = verify(...argv, '--checkpoint', `${first!.height}:${'0'.repeat(64)}`);
  await expect(wrong).rejects.toMatchObject({ code: 'BAD_PROOF', exit: 65 });
  const none = verify(...argv, '--checkpoint', digest);
  await expect(none).rejects.toMatchObject({ code: 'USAGE' });
});

it('refuses what is no proof, no genesis, or of another cluster', async () => {
  const refused = (argv: string[]) => expect(verify(...argv)).rejects;
  await refused([at('plan.md'), '-g', at('genesis')]).toMatchObject({
    code: 'BAD_PROOF',
    exit: 65,
  });
  await refused([at('big.proof'), '-g', at('plan.md')]).toMatchObject({ exit: 65 });
  await refused([at('big.proof'), '-g', at('missing')]).toMatchObject({ code: 'NOT_FOUND' });
  await refused([at('big.proof')]).toMatchObject({
    code: 'USAGE',
    hint: 'Name it: --genesis FILE',
  });
  await writeFile(at('other'), genesisToText(new History('another').genesis));
  await refused([at('big.proof'), '-g', at('other')]).toMatchObject({
    code: 'BAD_PROOF',
    message: 'the proof is of another cluster than the genesis',
  });
});
