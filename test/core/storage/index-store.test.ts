import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Bloom } from '../../../src/core/kb/find/bloom.ts';
import { after } from '../../../src/core/kb/find/grown-filter.ts';
import { parseQuery } from '../../../src/core/kb/find/query.ts';
import { Terms, termsKeyOf } from '../../../src/core/kb/find/terms.ts';
import type { IndexEntry } from '../../../src/core/storage/index-protocol.ts';
import { IndexStore } from '../../../src/core/storage/index-store.ts';
import { randomBlock, scratch, silentLog } from './support/stores.ts';

const key = termsKeyOf(new Uint8Array(32).fill(9));
const terms = new Terms(key);

async function open(path?: string, ofKey = key) {
  const at = path ?? join(await scratch(), 'index.db');
  let openings = 0;
  const deps = { log: silentLog, opened: () => void (openings += 1) };
  const store = new IndexStore({ path: at, key: ofKey }, deps);
  onTestFinished(() => store.close());
  return { store, path: at, openings: () => openings };
}

const entry = (path: string, more: Partial<IndexEntry> = {}): IndexEntry => ({
  path,
  version: randomBlock(8).cid.bytes,
  root: randomBlock(8).cid.bytes,
  message: undefined,
  texts: [],
  content: 'held',
  ...more,
});

const text = (path: string, ...texts: string[]): IndexEntry => entry(path, { texts });

async function find(store: IndexStore, query: string, isHeldOnly = false, limit = 20) {
  const question = { phrases: parseQuery(query, terms), limit, isHeldOnly };
  return await store.find(question);
}

/** The paths that are found, the best first. */
async function paths(store: IndexStore, all: readonly IndexEntry[], query: string, held = false) {
  const { hits } = await find(store, query, held);
  return hits.map(({ version }) => {
    return all.find((one) => Buffer.compare(one.version, version) === 0)!.path;
  });
}

test('W33: what has all words is found, whatever their case and accents', async () => {
  const { store } = await open();
  const all = [
    text('docs/configuración.md', 'El año que viene: la ACCIÓN'),
    text('docs/otra.md', 'la acción sin el resto'),
    entry('notes/x', { message: 'Cambio de configuracion', content: 'wordless' }),
  ];
  await store.write(all);
  expect(await paths(store, all, 'configuracion')).toEqual(['docs/configuración.md', 'notes/x']);
  expect(await paths(store, all, 'ACCION ano')).toEqual(['docs/configuración.md']);
  expect(await paths(store, all, 'acción docs')).toHaveLength(2);
  expect(await paths(store, all, 'nada')).toEqual([]);
});

test('W33: phrases stand together, and do not go from one text to the next', async () => {
  const { store } = await open();
  const all = [text('a', 'uno dos tres', 'cuatro'), text('b', 'dos uno tres')];
  await store.write(all);
  expect(await paths(store, all, '"uno dos"')).toEqual(['a']);
  expect(await paths(store, all, '"tres cuatro"')).toEqual([]);
  expect(await paths(store, all, 'uno-dos')).toEqual(['a']);
  expect(await paths(store, all, 'tres cuatro')).toEqual(['a']);
});

test('W33, W48: beginnings are of words of the path and the message, not of content', async () => {
  const { store } = await open();
  const all = [
    text('etc/nginx.conf', 'listen'),
    entry('srv', { message: 'Nginx, upgraded', texts: ['nothing'] }),
    text('other', 'nginx'),
  ];
  await store.write(all);
  expect((await paths(store, all, 'ngi*')).toSorted()).toEqual(['etc/nginx.conf', 'srv']);
  expect(await paths(store, all, 'ngi* listen')).toEqual(['etc/nginx.conf']);
  expect(await paths(store, all, 'nginx')).toHaveLength(3);
});

test('a path counts more than a message, and that more than content', async () => {
  const { store } = await open();
  const rest = Array.from({ length: 20 }, (_, n) => text(`filler${n}`, 'lorem ipsum'));
  const all = [
    text('one', `word ${'lorem '.repeat(5)}`),
    entry('two', { message: 'word and some more words' }),
    text('word', 'lorem ipsum'),
    ...rest,
  ];
  await store.write(all);
  expect(await paths(store, all, 'word')).toEqual(['word', 'two', 'one']);
});

test('a path has one version in it, and none once it is taken out', async () => {
  const { store } = await open();
  const [older, newer] = [text('a', 'before'), text('a', 'later')];
  await store.write([older]);
  expect(await store.look([older, newer, entry('b')])).toEqual(['held', 'new', 'new']);
  await store.write([newer]);
  expect(await paths(store, [older, newer], 'before')).toEqual([]);
  expect(await paths(store, [older, newer], 'later')).toEqual(['a']);
  await store.write([], ['a', 'never']);
  expect((await find(store, 'later')).hits).toEqual([]);
  expect(await store.look([newer])).toEqual(['new']);
});

test('versions wait for their content, and are not what others ask for', async () => {
  const { store } = await open();
  const missing = entry('a', { message: 'palabra', content: 'missing' });
  const held = entry('b', { message: 'palabra' });
  await store.write([missing, held]);
  expect(await store.waiting([missing.root, held.root])).toEqual([missing.version]);
  expect(await paths(store, [missing, held], 'palabra')).toHaveLength(2);
  expect(await paths(store, [missing, held], 'palabra', true)).toEqual(['b']);
  await store.write([{ ...missing, content: 'held', texts: ['dentro'] }]);
  expect(await store.waiting([missing.root])).toEqual([]);
  expect(await paths(store, [missing, held], 'dentro', true)).toEqual(['a']);
});

test('says that there are more than were asked for', async () => {
  const { store } = await open();
  await store.write(Array.from({ length: 5 }, (_, n) => text(`p${n}`, 'word')));
  expect((await find(store, 'word', false, 5)).isMore).toBe(false);
  const { hits, isMore } = await find(store, 'word', false, 4);
  expect([hits.length, isMore]).toEqual([4, true]);
});

test('W34: its filter has all words of what is held; after a start it is another', async () => {
  const { store, path } = await open();
  const words = Array.from({ length: 3000 }, (_, n) => `word${n}`);
  await store.write([text('a/held', words.join(' ')), entry('known', { content: 'missing' })]);
  const news = await store.news(undefined);
  const bloom = after(undefined, news);
  expect(bloom.isTrusted).toBe(true);
  const has = (of: Bloom) => [...words, 'a', 'held'].every((word) => of.has(terms.word(word)));
  expect(has(bloom)).toBe(true);
  expect(bloom.has(terms.start('hel'))).toBe(true);
  expect(bloom.has(terms.word('known'))).toBe(false);
  expect((await store.news(news)).type).toBe('same');
  await store.write([text('b', 'fresh')]);
  const later = await store.news(news);
  expect(later.type).toBe('added');
  expect(after(bloom, later).has(terms.word('fresh'))).toBe(true);
  await store.close();
  const again = await open(path);
  const whole = await again.store.news(later);
  expect(whole.type).toBe('whole');
  expect(has(after(undefined, whole))).toBe(true);
});

test('W47: nothing that was said stands in its file', async () => {
  const { store, path } = await open();
  await store.write([
    entry('secreto/ruta', { message: 'mensaje oculto', texts: ['contenido confidencial'] }),
  ]);
  await store.close();
  const file = readFileSync(path).toString('latin1');
  for (const word of ['secreto', 'ruta', 'mensaje', 'oculto', 'contenido', 'confidencial']) {
    expect(file).not.toContain(word);
  }
});

test('W46: what was taken out and purged leaves no trace, also after a restart', async () => {
  const { store, path } = await open();
  const secret = terms.word('secreto');
  const rest = Array.from({ length: 300 }, (_, n) => text(`p${n}`, `comun ${n}`));
  for (const one of [...rest, text('a', 'secreto'), entry('b', { message: 'secreto' })]) {
    await store.write([one]);
  }
  await store.write([], ['a', 'b']);
  await store.purge('note');
  await store.close();
  expect(readFileSync(path).toString('latin1')).toContain(secret.slice(4));
  const again = (await open(path)).store;
  const before = after(undefined, await again.news(undefined));
  expect(before.has(terms.word('comun'))).toBe(true);
  while (!(await again.purge('step')));
  expect(after(undefined, await again.news(undefined)).has(secret)).toBe(false);
  expect(await again.purge('step')).toBe(true);
  expect((await find(again, 'comun', false, 500)).hits).toHaveLength(300);
  await again.close();
  expect(readFileSync(path).toString('latin1')).not.toContain(secret.slice(4));
});

test('what was indexed under another key is forgotten', async () => {
  const first = await open();
  const all = [text('a', 'palabra')];
  await first.store.write(all);
  await first.store.close();
  const { store } = await open(first.path, termsKeyOf(new Uint8Array(32).fill(8)));
  expect(await store.look(all)).toEqual(['new']);
  expect((await find(store, 'palabra')).hits).toEqual([]);
});

test('a damaged file is made anew, and nothing else is left behind', async () => {
  const first = await open();
  const all = [text('a', 'palabra')];
  await first.store.write(all);
  await first.store.close();
  writeFileSync(first.path, 'this is no database at all', { mode: 0o600 });
  const { store, path, openings } = await open(first.path);
  expect(await store.look(all)).toEqual(['new']);
  expect(openings()).toBe(1);
  await store.write(all);
  expect(await paths(store, all, 'palabra')).toEqual(['a']);
  await store.close();
  expect(await readdir(dirname(path))).toEqual(['index.db']);
});

test('so is one that is damaged behind its first page', async () => {
  const first = await open();
  const all = Array.from({ length: 400 }, (_, n) => text(`p${n}`, `word${n} common`));
  await first.store.write(all);
  await first.store.close();
  writeFileSync(first.path, readFileSync(first.path).fill(0xff, 8192));
  const { store, openings } = await open(first.path);
  expect(await store.look([all[0]!])).toEqual(['new']);
  expect(openings()).toBe(1);
  await store.write(all);
  expect((await find(store, 'common')).hits).toHaveLength(20);
});

test('a missing file is made anew', async () => {
  const first = await open();
  await first.store.write([text('a', 'palabra')]);
  await first.store.close();
  await rm(first.path);
  const { store } = await open(first.path);
  expect((await find(store, 'palabra')).hits).toEqual([]);
});

test('a closed one answers nothing', async () => {
  const { store } = await open();
  await store.close();
  await expect(store.look([])).rejects.toThrow(expect.objectContaining({ code: 'STOPPING' }));
});

test('what cannot be opened now is opened later', async () => {
  const dir = join(await scratch(), 'not-there-yet');
  const { store } = await open(join(dir, 'index.db'));
  await expect(store.look([])).rejects.toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
  await mkdir(dir);
  expect(await store.look([])).toEqual([]);
});
