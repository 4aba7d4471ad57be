/** The search of an engine, put together. It decides nothing. */
import type { HomePaths } from '../../config/home.ts';
import { Terms, termsKeyOf } from '../../kb/find/terms.ts';
import type { Replication } from '../../kb/replication.ts';
import type { Genesis } from '../../model/genesis.ts';
import type { Host } from '../../network/host.ts';
import type { Log, Metrics } from '../../ports.ts';
import type { ContentStore } from '../../storage/content-store.ts';
import { IndexStore } from '../../storage/index-store.ts';
import type { ChainRoom } from '../chain-room.ts';
import type { Contents } from '../contents.ts';
import { Filters } from './filters.ts';
import { Indexer } from './indexer.ts';
import { Search } from './search.ts';

export interface SearchParts {
  readonly machine: Pick<Replication, 'graph'>;
  readonly content: ContentStore;
  readonly contents: Contents;
  readonly host: Host;
  readonly room: ChainRoom;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What an engine tells of, and stops. */
export interface SearchRoom {
  readonly search: Search;
  readonly indexer: Indexer;
  readonly filters: Filters;
  stop(): Promise<void>;
}

export function makeSearch(
  options: { readonly self: string; readonly genesis: Genesis; readonly paths: HomePaths },
  parts: SearchParts,
): SearchRoom {
  const { self, genesis, paths } = options;
  const { machine, room, log } = parts;
  const { chain } = room;
  const { graph } = machine;
  const key = termsKeyOf(genesis.names.key);
  const ref = (path: string) => chain.ref(path);
  const store: IndexStore = new IndexStore(
    { path: paths.indexDb, key },
    { log, opened: () => indexer.opened() },
  );
  const filters = new Filters({
    ...{ host: parts.host, log, own: (known) => store.news(known) },
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
