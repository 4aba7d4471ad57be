/** How the knowledge base looks to an operator: the answers of `kb ls`, `log`, `stat`, `where`. */
import { CID } from 'multiformats/cid';
import type { Query, Result } from '../api/contract/endpoints.ts';
import type { KbEntry, KbHolder, KbItem, KbLogEntry } from '../api/contract/kb.ts';
import type { Roster } from '../chain/roster.ts';
import { AegisError } from '../errors.ts';
import { BLAKE3 } from '../kb/block.ts';
import type { Replication } from '../kb/replication.ts';
import { isMerge } from '../model/merge.ts';
import { parsePath } from '../model/path.ts';
import { isSealedRoot } from '../model/sealed.ts';
import type { SignedVersion, Version } from '../model/version.ts';
import type { ContentStore } from '../storage/content-store.ts';
import type { Contents, ReadingKeys } from './contents.ts';
import { Exporter } from './export.ts';
import type { Final } from './finals.ts';
import type { ObjectReader } from './object-reader.ts';
import { pathsPage } from './paths-page.ts';
import { resolveReference } from './reference.ts';

export interface KbViewsDeps {
  readonly self: string;
  readonly machine: Replication;
  readonly members: Pick<Roster, 'get'>;
  /** Copies that the placement asks for. */
  readonly replicas: number;
  readonly content: ContentStore;
  readonly reader: ObjectReader;
  readonly contents: Contents;
  readonly readingKeys: ReadingKeys;
  isConnected(nodeId: string): boolean;
  /** What the custodians have decided about versions. */
  /** W18: of merges that are wrong, who has handed them in. */
  mismatches(versions: readonly string[]): Promise<(string | undefined)[]>;
  decided(versions: readonly string[]): Promise<(Final | undefined)[]>;
  /** Which of the nodes say that they hold a root. */
  askHolders(root: CID, nodeIds: readonly string[]): Promise<string[]>;
}

export class KbViews {
  readonly #deps: KbViewsDeps;

  constructor(deps: KbViewsDeps) {
    this.#deps = deps;
  }

  /** The shown version of a path; undefined when there is none or it is a deletion. */
  async entry(path: string): Promise<KbEntry | undefined> {
    const shown = this.#deps.machine.graph.shown(path);
    if (shown === undefined || shown.version.deleted === true) return undefined;
    return (await this.#entries([shown]))[0];
  }

  /** The newest entries first, of what each author has written last. */
  async recent(count: number): Promise<KbEntry[]> {
    const { graph } = this.#deps.machine;
    const paths = new Set<string>();
    for (const [author, last] of graph.vector()) {
      const versions = graph.author(author).between(Math.max(1, last - count + 1), last);
      for (const { version } of versions) paths.add(version.path);
    }
    const shown = [...paths]
      .map((path) => graph.shown(path))
      .filter((one) => one !== undefined && one.version.deleted !== true)
      .map((one) => one!);
    shown.sort((a, b) => b.version.time - a.version.time);
    return await this.#entries(shown.slice(0, count));
  }

  async list(query: Query<'kb.ls'>): Promise<Result<'kb.ls'>> {
    const { prefix } = query;
    const { shown, prefixes, next } = pathsPage(this.#deps.machine.graph, query);
    const isFirst = query.after === undefined || query.after === '';
    const [entries, items] = [await this.#entries(shown), isFirst ? await this.#items(prefix) : []];
    const total = isFirst && next === null ? entries.length : null;
    return { prefix, entries, prefixes, items, total, next };
  }

  async log({ path, limit, before }: Query<'kb.log'>): Promise<Result<'kb.log'>> {
    const { graph } = this.#deps.machine;
    const parsed = parsePath(path);
    const versions = graph.log(parsed, {
      limit: limit + 1,
      ...(before !== undefined && { before }),
    });
    if (versions.length === 0 && before === undefined) {
      throw new AegisError('NOT_FOUND', `this node knows no ${JSON.stringify(parsed)}`, {
        hint: 'See what it knows: aegis kb ls',
      });
    }
    const shown = graph.shown(parsed)?.cidText;
    const page = versions.slice(0, limit);
    const next = versions.length > limit ? page.at(-1)!.cidText : null;
    const names = page.map(({ cidText }) => cidText);
    const [decided, wrong] = [await this.#deps.decided(names), await this.#deps.mismatches(names)];
    return {
      path: parsed,
      versions: page.map((signed, n) => ({
        ...this.#logEntry(signed, graph.isHead(signed), shown, wrong[n]),
        ...agreed(decided[n]),
      })),
      heads: graph.headCount(parsed),
      total: before === undefined && next === null ? page.length : null,
      next,
    };
  }

  async stat({ path }: Query<'kb.stat'>): Promise<Result<'kb.stat'>> {
    const { signed } = resolveReference(this.#deps.machine.graph, path);
    const { version } = signed;
    const [entry] = await this.#entries([signed]);
    return {
      ...entry!,
      message: version.message ?? null,
      parents: version.parents.map(String),
      sequence: version.sequence,
      ...(await this.#readers(version.root)),
      objects: entry!.local ? await this.#countObjects(version.root) : null,
      hash: version.root.multihash.code === BLAKE3 ? 'blake3' : 'sha2-256',
    };
  }

  async where({ path, cid }: Query<'kb.where'>): Promise<Result<'kb.where'>> {
    const { machine, members } = this.#deps;
    if ((path === undefined) === (cid === undefined)) {
      throw new AegisError('BAD_REQUEST', 'name either a path or a CID');
    }
    const found = path === undefined ? undefined : resolveReference(machine.graph, path).signed;
    const root = found?.version.root ?? parseCid(cid!);
    const { placed, confirmed: known } = machine.holders(root);
    const likely = machine.sources(root).filter((nodeId) => this.#deps.isConnected(nodeId));
    const asked = await this.#deps.askHolders(
      root,
      likely.filter((nodeId) => !known.includes(nodeId)),
    );
    const confirmed = [...known, ...asked];
    const nodeIds = [...new Set([...placed, ...confirmed])];
    const holders = nodeIds.map((nodeId): KbHolder => {
      const member = members.get(nodeId);
      return {
        nodeId,
        name: member?.name ?? null,
        zone: member?.zone ?? null,
        placed: placed.includes(nodeId),
        confirmed: confirmed.includes(nodeId),
        reachable: nodeId === this.#deps.self || this.#deps.isConnected(nodeId),
        self: nodeId === this.#deps.self,
      };
    });
    const foundPath = found?.version.path ?? null;
    const replicas = { ...this.#replicas(root), confirmed: confirmed.length };
    return { path: foundPath, cid: root.toString(), replicas, holders };
  }

  /** What is inside, when `prefix` names a stored directory whose content is here. */
  async #items(prefix: string): Promise<KbItem[]> {
    const name = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
    if (name === '') return [];
    let reference: ReturnType<typeof resolveReference>;
    try {
      reference = resolveReference(this.#deps.machine.graph, name);
    } catch {
      return [];
    }
    const { root, directory } = reference.signed.version;
    if (directory !== true || (await this.#deps.content.root(root))?.complete !== true) return [];
    // What is sealed to others is as if there were nothing inside.
    const exporter = (await this.#deps.contents.open(root).catch(() => undefined))?.exporter;
    const at = await exporter?.resolve(root, reference.inside).catch(() => undefined);
    if (exporter === undefined || at === undefined || (await exporter.describe(at)).kind === 'file')
      return [];
    const items: KbItem[] = [];
    for await (const link of exporter.children(at)) {
      const { kind, sizeBytes } = await exporter.describe(link.cid);
      const path = `${name}/${link.name}`;
      items.push({ path, cid: link.cid.toString(), kind, sizeBytes: sizeBytes ?? link.tsize });
    }
    return items;
  }

  async #entries(all: readonly SignedVersion[]): Promise<KbEntry[]> {
    const decided = await this.#deps.decided(all.map(({ cidText }) => cidText));
    return await Promise.all(all.map((signed, n) => this.#entry(signed, decided[n])));
  }

  async #entry({ cidText, version }: SignedVersion, decided: Final | undefined): Promise<KbEntry> {
    const { machine, content } = this.#deps;
    const local = await content.root(version.root);
    return {
      path: version.path,
      cid: version.root.toString(),
      version: cidText,
      kind: version.directory === true ? 'directory' : 'file',
      sizeBytes: version.sizeBytes,
      ...agreed(decided),
      generation: version.generation,
      ...this.#authorOf(version),
      time: new Date(version.time).toISOString(),
      conflicts: conflictsOf(version),
      heads: machine.graph.headCount(version.path),
      replicas: this.#reported(version),
      local: local?.complete === true,
    };
  }

  #logEntry(
    signed: SignedVersion,
    head: boolean,
    shown: string | undefined,
    by: string | undefined,
  ): Omit<KbLogEntry, 'final' | 'height'> {
    const { cidText, version } = signed;
    return {
      version: cidText,
      cid: version.root.toString(),
      kind: version.directory === true ? 'directory' : 'file',
      sizeBytes: version.sizeBytes,
      generation: version.generation,
      ...this.#authorOf(version),
      sequence: version.sequence,
      conflicts: conflictsOf(version),
      mismatch: by === undefined ? null : { by: by === '' ? null : by },
      time: new Date(version.time).toISOString(),
      message: version.message ?? null,
      deleted: version.deleted === true,
      parents: version.parents.map(String),
      head,
      shown: cidText === shown,
    };
  }

  #authorOf(version: Version): Pick<KbEntry, 'author' | 'authorName'> {
    if (isMerge(version)) return { author: null, authorName: null };
    const authorName = this.#deps.members.get(version.author)?.name ?? null;
    return { author: version.author, authorName };
  }

  /** Holders report to the author and to the placed nodes; others do not know of their copies. */
  #reported({ root, author }: Version): KbEntry['replicas'] {
    const { self, machine } = this.#deps;
    const isTold = author === self || machine.holders(root).placed.includes(self);
    return isTold ? this.#replicas(root) : { ...this.#replicas(root), confirmed: null };
  }

  #replicas(root: CID): { wanted: number; confirmed: number } {
    const { placed, confirmed } = this.#deps.machine.holders(root);
    return { wanted: Math.min(this.#deps.replicas, placed.length), confirmed: confirmed.length };
  }

  /** W42: to whom it is sealed, as far as its root is here. */
  async #readers(root: CID): Promise<Pick<Result<'kb.stat'>, 'sealed' | 'readers'>> {
    const sealed = isSealedRoot(root);
    const to = (await this.#deps.contents.sealedRoot(root))?.to;
    const { readingKeys } = this.#deps;
    const readers = to?.map((recipient) => ({ recipient, name: readingKeys.nameOf(recipient) }));
    return { sealed, readers: readers ?? null };
  }

  async #countObjects(root: CID): Promise<number> {
    const exporter = new Exporter({ read: this.#deps.reader.below(root) });
    return await exporter.countObjects(root);
  }
}

const conflictsOf = ({ conflicts = [], isMoreConflicts }: Version): number =>
  conflicts.length + Number(isMoreConflicts === true);

/** What was refused is as open as what has not been decided: it may be asked for again. */
const agreed = (decided: Final | undefined) => {
  const isFinal = decided !== undefined && decided.result !== 'refused';
  return { final: isFinal, height: isFinal ? decided.height : null };
};

function parseCid(text: string): CID {
  try {
    return CID.parse(text);
  } catch (cause) {
    throw new AegisError('BAD_REQUEST', `${JSON.stringify(text)} is not a CID`, { cause });
  }
}
