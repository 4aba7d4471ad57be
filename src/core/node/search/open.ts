/** The search of an engine, put together. It decides nothing. */
import { Terms, termsKeyOf } from '../../kb/find/terms.ts';
import { IndexStore } from '../../storage/index-store.ts';
import type { Contents } from '../contents.ts';
import type { EngineDeps, EngineOptions, EngineParts } from '../engine-open.ts';
import { Filters } from './filters.ts';
import { Indexer } from './indexer.ts';
import { Search } from './search.ts';

/** What an engine tells of, and stops. */
export interface SearchRoom {
  readonly search: Search;
  readonly indexer: Indexer;
  readonly filters: Filters;
  stop(): Promise<void>;
}

export function makeSearch(
  { genesis, paths, keystore }: EngineOptions,
  { log: engineLog, metrics }: EngineDeps,
  { machines, content, host, chain: room }: EngineParts,
  contents: Contents,
): SearchRoom {
  const self = keystore.nodeId;
  const log = engineLog.child('search');
  const { graph } = machines.replication;
  const parts = { content, contents, host, log, metrics };
  const { chain } = room;
  const key = termsKeyOf(genesis.names.key);
  const ref = (path: string) => chain.ref(path);
  const store: IndexStore = new IndexStore(
    { path: paths.indexDb, key },
    { log, opened: () => indexer.opened() },
  );
  const filters = new Filters({
    ...{ host, log, own: (known) => store.news(known) },
    isPartial: () => indexer.isPartial,
  });
  const changed = filters.changed.bind(filters);
  const swept = filters.swept.bind(filters);
  const indexer: Indexer = new Indexer({ ...parts, store, graph, ref, changed, swept });
  const search = new Search({
    ...{ ...parts, self, store, indexer, filters, graph, ref, terms: new Terms(key) },
    members: () => chain.roster.members(),
    memberOf: (nodeId) => chain.roster.get(nodeId),
  });
  const stop = async (): Promise<void> => {
    indexer.stop();
    filters.stop();
    await store.close();
  };
  return { search, indexer, filters, stop };
}
