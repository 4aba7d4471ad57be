/** W33 to W35 between nodes that hold different contents, and one that lies. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { FIND_LIMITS } from '../../../../src/core/kb/find/limits.ts';
import { encodeAnswer, encodeNews } from '../../../../src/core/kb/find/messages.ts';
import { type SearchNode, unknownVersion, World } from './nodes.ts';

const world = new World();
let [ana, bea, leo]: SearchNode[] = [];
beforeAll(async () => {
  await world.add(3);
  [ana, bea, leo] = world.nodes;
}, 60_000);
afterAll(() => world.stop());

const pathsOf = ({ hits }: { hits: readonly { path: string }[] }): string[] =>
  hits.map(({ path }) => path).toSorted();
const statesOf = ({ peers }: { peers: readonly { name: string | null; state: string }[] }) =>
  Object.fromEntries(peers.map(({ name, state }) => [name, state]));

beforeEach(() => {
  for (const { host } of world.nodes) host.asked.clear();
});

test('what another node holds is found there, and who cannot have it is not asked', async () => {
  const signed = world.write('one', 'solamente aquí', 'Mensaje');
  bea!.hold(signed);
  for (const node of world.nodes) await node.settle();
  const found = await ana!.find('AQUI');
  expect(found).toMatchObject({
    hits: [{ path: 'one', version: signed.cidText, local: false, nodes: ['node2'] }],
    ...{ complete: true, more: false, settled: true },
  });
  expect(statesOf(found)).toEqual({ node2: 'answered', node3: 'excluded' });
  expect(leo!.host.asked.get('kb/find')).toBeUndefined();
  // Paths and messages all know.
  expect(await ana!.find('mensaje one', { local: true })).toMatchObject({
    hits: [{ path: 'one', nodes: ['node1'] }],
    peers: [],
  });
  // Both in one version, though one node knows only the one and another only the other by itself.
  expect(pathsOf(await leo!.find('mensaje solamente'))).toEqual(['one']);
});

test('content that comes later is found, by all who hold it once', async () => {
  const signed = world.write('later', 'tarde pero cierto');
  for (const node of world.nodes) await node.settle();
  expect((await ana!.find('tarde')).hits).toEqual([]);
  ana!.hold(signed);
  leo!.hold(signed);
  for (const node of world.nodes) await node.settle();
  const { hits } = await ana!.find('tarde');
  expect(hits).toHaveLength(1);
  expect(hits[0]!.nodes.toSorted()).toEqual(['node1', 'node3']);
});

test('the word gets around when something has changed', async () => {
  bea!.hold(world.write('news', 'novedades'));
  await bea!.indexer.settle(60_000);
  await expect
    .poll(async () => pathsOf(await ana!.find('novedades')), { timeout: 15_000 })
    .toEqual(['news']);
});

test('what is not shown any more is not found, whoever still has it', async () => {
  const older = world.write('changed', 'antes');
  bea!.hold(older);
  await bea!.settle();
  world.refs.set('changed', { heads: [{ version: unknownVersion, generation: 2 }], generation: 2 });
  expect((await ana!.find('antes')).hits).toEqual([]);
  bea!.hold(world.write('changed', 'despues'));
  await bea!.settle();
  expect((await ana!.find('antes')).hits).toEqual([]);
  expect(pathsOf(await ana!.find('despues'))).toEqual(['changed']);
  world.remove('changed');
  await bea!.settle();
  expect((await ana!.find('despues')).hits).toEqual([]);
});

test('W34: who does not answer, or is not there, is named', async () => {
  const signed = world.write('both', 'compartido');
  bea!.hold(signed);
  leo!.hold(signed);
  for (const node of world.nodes) await node.settle();
  bea!.host.isSilent = true;
  leo!.host.isAway = true;
  try {
    const found = await ana!.find('compartido');
    expect(found).toMatchObject({ hits: [], complete: false });
    expect(statesOf(found)).toEqual({ node2: 'silent', node3: 'away' });
    expect(found.peers[0]).toMatchObject({ hits: null, reason: 'TIMEOUT' });
  } finally {
    bea!.host.isSilent = false;
    leo!.host.isAway = false;
  }
  expect(await ana!.find('compartido')).toMatchObject({ complete: true });
});

test('W35: a filter that is too full is not believed', async () => {
  const { handlers } = bea!.host;
  const honest = handlers.get('kb/words')!;
  const bytes = new Uint8Array(FIND_LIMITS.filterBitsMin / 8).fill(0xff);
  const ones = FIND_LIMITS.filterBitsMin;
  const news = encodeNews({ epoch: 'ee'.repeat(8), ones, type: 'whole', bytes, isPartial: false });
  handlers.set('kb/words', () => Promise.resolve(news));
  try {
    await bea!.settle();
    const found = await ana!.find('cualquiera');
    expect(found.complete).toBe(false);
    expect(statesOf(found)['node2']).toBe('distrusted');
    expect(bea!.host.asked.get('kb/find')).toBeUndefined();
  } finally {
    handlers.set('kb/words', honest);
    await bea!.settle();
  }
});

test('a filter that makes no sense is none, and is asked for again', async () => {
  const { handlers } = bea!.host;
  const honest = handlers.get('kb/words')!;
  handlers.set('kb/words', () => Promise.resolve(new Uint8Array([1, 2, 3])));
  await bea!.settle();
  const found = await ana!.find('cualquiera');
  expect(statesOf(found)['node2']).toBe('no-filter');
  expect(found.complete).toBe(false);
  handlers.set('kb/words', honest);
  expect(statesOf(await ana!.find('cualquiera'))['node2']).toBe('excluded');
});

test('of what a peer says only versions that are shown here are believed', async () => {
  bea!.hold(world.write('honest', 'verdad'));
  await bea!.settle();
  const { handlers } = bea!.host;
  const honest = handlers.get('kb/find')!;
  const answer = (hits: { version: typeof unknownVersion; score: number }[]) =>
    encodeAnswer({ hits, isMore: false, isSettled: true });
  try {
    handlers.set('kb/find', () =>
      Promise.resolve(answer([{ version: unknownVersion, score: 1e6 }])),
    );
    expect(await ana!.find('verdad')).toMatchObject({ hits: [], complete: true });
    handlers.set('kb/find', () => Promise.resolve(Buffer.from('nonsense')));
    const found = await ana!.find('verdad');
    expect(found.complete).toBe(false);
    expect(found.peers[0]).toMatchObject({ state: 'silent', reason: 'BAD_ENCODING' });
  } finally {
    handlers.set('kb/find', honest);
  }
});

test('a question that makes no sense is refused', async () => {
  const { signal } = new AbortController();
  const ask = bea!.host.handlers.get('kb/find')!;
  const asked = async () => await ask(ana!.nodeId, Buffer.from('nonsense'), { signal });
  await expect(asked()).rejects.toThrow(expect.objectContaining({ code: 'BAD_ENCODING' }));
});

test('more than was asked for is said', async () => {
  for (const n of [1, 2, 3]) world.write(`many/${n}`, '', 'muchos');
  await ana!.settle();
  expect(await ana!.find('muchos', { limit: 3 })).toMatchObject({ more: false });
  const { hits, more } = await ana!.find('muchos', { limit: 2 });
  expect([hits.length, more]).toEqual([2, true]);
});

test('what it is told beyond what it remembers it finds by going through all paths', async () => {
  const signed = world.write('flood', 'inundado');
  ana!.hold(signed);
  for (let n = 0; n <= 10_000; n += 1) ana!.indexer.touched(`nothing/${n}`);
  await expect.poll(() => ana!.indexer.isSettled, { timeout: 20_000 }).toBe(true);
  expect(pathsOf(await ana!.find('inundado', { local: true }))).toEqual(['flood']);
}, 30_000);
