/**
 * Goal: what is stored anywhere is found by its words from everywhere, and a result says what it
 * may lack (docs/knowledge-base.md, W33 to W35, W48).
 * Setup: four daemons; the last one holds next to nothing of what others write.
 * Check: words, accents, phrases and beginnings; content held elsewhere; what was replaced or
 * deleted; a node that does not answer; an index that is lost; queries that mean harm.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Reply } from '../../src/core/api/contract/endpoints.ts';
import { Terms, termsKeyOf } from '../../src/core/kb/find/terms.ts';
import { nameKeyOf } from '../../src/core/model/names.ts';
import { clientOf } from './support/api.ts';
import { aegis, Cluster } from './support/cluster.ts';

type Found = Reply<'kb.find'>;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ size: 4, storageWeights: [100, 100, 100, 0] });
});
afterAll(() => cluster.stop());

async function put(node: number, path: string, text: string | Buffer, ...args: string[]) {
  const home = ['--home', cluster.node(node).home];
  const run = await aegis([...home, 'kb', 'put', '-', '--path', path, '--quiet', ...args], {
    input: Buffer.from(text),
  });
  expect(run.exit, run.stderr).toBe(0);
}

const find = (node: number, query: string, local = false): Promise<Found> =>
  clientOf(cluster, node).call('kb.find', { query: { query, local, timeoutMs: 2000 } });

const pathsOf = ({ hits }: Found): string[] => hits.map(({ path }) => path).toSorted();

/** From everywhere; indexes and filters follow what is final a little later. */
async function foundBy(node: number, query: string, paths: readonly string[]): Promise<Found> {
  return await cluster.until(
    () => find(node, query),
    (found) => found.complete && JSON.stringify(pathsOf(found)) === JSON.stringify(paths),
    `${query} finds ${paths.join(', ')} on node ${node}`,
  );
}

test('W33: words of paths, messages and content, whatever their accents and case', async () => {
  await put(1, 'docs/instalación.md', 'Cómo instalar el corazón del sistema\n');
  await put(
    2,
    'etc/nginx.conf',
    'listen 8080;\nserver_name ejemplo;\n',
    '--message',
    'Primer borrador',
  );
  await put(1, 'bin/data', Buffer.from([0, 1, 2, ...Buffer.from('corazon')]));
  for (const node of [1, 2, 3, 4]) {
    await foundBy(node, 'CORAZON', ['docs/instalación.md']);
    await foundBy(node, 'instalacion md', ['docs/instalación.md']);
    await foundBy(node, 'borrador', ['etc/nginx.conf']);
    await foundBy(node, '"listen 8080"', ['etc/nginx.conf']);
    await foundBy(node, '"8080 listen"', []);
    await foundBy(node, 'ngin* server', ['etc/nginx.conf']);
    await foundBy(node, 'bin', ['bin/data']);
  }
});

test('W34: content that is elsewhere is found, and only who may have it is asked', async () => {
  // A filter follows what its node holds a moment later.
  const found = await cluster.until(
    () => find(4, 'ejemplo'),
    ({ peers }) => peers.length === 3 && peers.every(({ state }) => state === 'answered'),
    'all holders are asked',
  );
  expect(found.complete).toBe(true);
  expect((await find(4, 'ejemplo', true)).hits).toEqual([]);
  expect(found.hits[0]).toMatchObject({ local: false, kind: 'file' });
  expect(found.hits[0]!.nodes).not.toContain('node4');
  // A filter errs now and then, but not for all words.
  const words = ['inexistente', 'desconocida', 'ausente', 'perdida'];
  const nowhere = await Promise.all(words.map((word) => find(4, word)));
  for (const { hits, complete } of nowhere) expect([hits, complete]).toEqual([[], true]);
  const excluded = nowhere.filter(({ peers }) => peers.every(({ state }) => state === 'excluded'));
  expect(excluded.length).toBeGreaterThan(0);
});

test('what is shown is found: no older version, and nothing that was deleted', async () => {
  await put(1, 'notas', 'versionvieja');
  await foundBy(4, 'versionvieja', ['notas']);
  await put(2, 'notas', 'versionnueva');
  await foundBy(4, 'versionnueva', ['notas']);
  await foundBy(4, 'versionvieja', []);
  expect((await cluster.run(1, 'kb', 'rm', 'notas')).exit).toBe(0);
  await foundBy(4, 'versionnueva', []);
  await foundBy(1, 'notas', []);
});

test('queries mean nothing but words', async () => {
  for (const query of [
    '"',
    'OR',
    '*',
    "'; DROP TABLE documents; --",
    'NEAR(a b)',
    '{path}:x',
    '^',
  ]) {
    const asked = find(1, query).then(
      ({ hits }) => hits,
      (error: { code: string }) => error.code,
    );
    expect([[], 'BAD_REQUEST']).toContainEqual(await asked);
  }
  await foundBy(1, 'corazon', ['docs/instalación.md']);
});

test('aegis kb find: terms, a phrase by the quotes of the shell, nothing found', async () => {
  const run = (...args: string[]) => cluster.run(1, 'kb', 'find', ...args);
  const phrase = await run('listen 8080', 'nginx');
  expect(phrase.exit, phrase.stderr).toBe(0);
  expect(phrase.stdout.toString()).toContain('etc/nginx.conf');
  const none = await run('8080 listen');
  expect([none.exit, none.stdout.toString()]).toEqual([0, '']);
  expect(none.stderr).toContain('nothing was found');
  expect((await run('***')).exit).toBe(2);
});

test('W47, W48: no word of it stands in the index', () => {
  for (const node of [1, 2, 3]) {
    const { indexDb } = cluster.home(node);
    for (const file of [indexDb, `${indexDb}-wal`]) {
      const bytes = readFileSync(file).toString('latin1');
      for (const word of ['corazon', 'nginx', 'borrador', 'instala']) {
        expect(bytes).not.toContain(word);
      }
    }
  }
});

test('W46: of what was shredded not even terms stay in the index', async () => {
  await put(1, 'secreto', 'irrecuperable de verdad');
  await foundBy(4, 'irrecuperable', ['secreto']);
  const genesis = readFileSync(cluster.home(1).genesis);
  const term = new Terms(termsKeyOf(nameKeyOf(genesis))).word('irrecuperable');
  // SQLite stores what terms have in common once.
  const trace = term.slice(4);
  const hasTrace = (node: number): boolean => {
    const { indexDb } = cluster.home(node);
    return [indexDb, `${indexDb}-wal`].some((file) => readFileSync(file).includes(trace));
  };
  expect([1, 2, 3].some(hasTrace)).toBe(true);
  expect((await cluster.run(1, 'kb', 'shred', 'secreto', '--yes')).exit).toBe(0);
  await foundBy(4, 'irrecuperable', []);
  await cluster.until(
    () => [1, 2, 3, 4].some(hasTrace),
    (has) => !has,
    'no trace is left',
  );
});

test('an index that is damaged or gone comes back by itself', async () => {
  const { indexDb } = cluster.home(2);
  const restart = async (spoil: () => void): Promise<void> => {
    expect((await cluster.run(2, 'node', 'stop')).exit).toBe(0);
    spoil();
    expect((await cluster.start(2)).exit).toBe(0);
    await cluster.connected();
    await foundBy(2, 'corazon', ['docs/instalación.md']);
    await foundBy(4, 'ejemplo', ['etc/nginx.conf']);
  };
  await restart(() => writeFileSync(indexDb, 'no database', { mode: 0o600 }));
  await restart(() => rmSync(indexDb));
});

test('W34: a node that does not answer is named, and the rest is shown', async () => {
  const pid = await cluster.pid(3);
  process.kill(pid, 'SIGSTOP');
  try {
    const found = await find(4, 'ejemplo');
    expect(pathsOf(found)).toEqual(['etc/nginx.conf']);
    expect(found.complete).toBe(false);
    const silent = found.peers.find(({ name }) => name === 'node3');
    expect(silent).toMatchObject({ hits: null });
    expect(['silent', 'away', 'no-filter']).toContain(silent!.state);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await cluster.connected();
  await foundBy(4, 'ejemplo', ['etc/nginx.conf']);
});
