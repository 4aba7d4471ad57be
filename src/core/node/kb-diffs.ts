/**
 * Compares two contents (W5): what is asked for by path, version or CID is found, brought here,
 * and read as far as it differs. How texts and JSON are compared, kb/compare says.
 */
import { CID } from 'multiformats/cid';
import type { CallContext } from '../api/backend.ts';
import type { Query, Result } from '../api/contract/endpoints.ts';
import type { KbDifference, KbFileDiff } from '../api/contract/kb-versions.ts';
import { AegisError } from '../errors.ts';
import { compareJson } from '../kb/compare/json.ts';
import { compareText } from '../kb/compare/text.ts';
import { textOf } from '../kb/merge/file.ts';
import { MERGE_LIMITS } from '../kb/merge/limits.ts';
import type { VersionGraph } from '../kb/versions.ts';
import { MIB } from '../units.ts';
import type { Exporter } from './export.ts';
import type { Finality } from './finality.ts';
import { firstDifference } from './first-difference.ts';
import { resolveFinal, resolveReference } from './reference.ts';
import { timeout } from './timeout.ts';

export interface KbDiffsDeps {
  readonly graph: VersionGraph;
  readonly finality: Pick<Finality, 'head'>;
  /** A content that is here, or is brought here first. */
  contents(root: CID, sizeBytes: number | undefined, signal: AbortSignal): Promise<Exporter>;
}

/** Differences that are told, and what they have in characters; then there are more. */
const FILES_MAX = 10_000;
const ANSWER_CHARACTERS_MAX = 8 * MIB;
const CID_TEXT = /^ba[a-z2-7]{50,}$/;

interface Side {
  readonly path: string | null;
  readonly version: string | null;
  readonly cid: CID;
  readonly exporter: Exporter;
}

/** Something that stands on one side. */
interface Entry {
  readonly cid: CID;
  readonly kind: 'file' | 'directory';
  readonly sizeBytes: number;
}

type How = Pick<Query<'kb.diff'>, 'as' | 'context'>;

export class KbDiffs {
  readonly #deps: KbDiffsDeps;

  constructor(deps: KbDiffsDeps) {
    this.#deps = deps;
  }

  /** @throws {AegisError} `NOT_FOUND`, `NOT_REACHABLE`, `BAD_REQUEST` for what is no JSON. */
  async diff(query: Query<'kb.diff'>, { signal }: CallContext): Promise<Result<'kb.diff'>> {
    const deadline = AbortSignal.any([signal, timeout(query.timeoutMs)]);
    const a = await this.#side(query.a, query.provisional, deadline);
    const b = await this.#side(query.b, query.provisional, deadline);
    const files: KbFileDiff[] = [];
    let [room, more] = [ANSWER_CHARACTERS_MAX, false];
    for await (const file of new Comparison(a.exporter, b.exporter, query).roots(a.cid, b.cid)) {
      deadline.throwIfAborted();
      room -= JSON.stringify(file).length;
      more = room < 0 || files.length >= FILES_MAX;
      if (more) break;
      files.push(file);
    }
    return { a: said(a), b: said(b), same: files.length === 0 && !more, files, more };
  }

  async #side(text: string, provisional: boolean, signal: AbortSignal): Promise<Side> {
    const { graph, finality } = this.#deps;
    const root = CID_TEXT.test(text) ? parseCid(text) : undefined;
    if (root !== undefined) {
      const exporter = await this.#deps.contents(root, undefined, signal);
      return { path: null, version: null, cid: root, exporter };
    }
    const { signed, inside } = provisional
      ? resolveReference(graph, text)
      : await resolveFinal(graph, text, (path) => finality.head(path, signal));
    const { version } = signed;
    const exporter = await this.#deps.contents(version.root, version.sizeBytes, signal);
    const cid = await exporter.resolve(version.root, inside);
    const path = [version.path, ...inside].join('/');
    return { path, version: signed.cidText, cid, exporter };
  }
}

const said = ({ path, version, cid }: Side) => ({ path, version, cid: cid.toString() });

function parseCid(text: string): CID | undefined {
  try {
    return CID.parse(text);
  } catch {
    // It may be the name of a path, and if it is not, that is what the caller is told.
    return undefined;
  }
}

class Comparison {
  readonly #a: Exporter;
  readonly #b: Exporter;
  readonly #how: How;

  constructor(a: Exporter, b: Exporter, how: How) {
    this.#a = a;
    this.#b = b;
    this.#how = how;
  }

  async *roots(a: CID, b: CID): AsyncGenerator<KbFileDiff> {
    if (a.equals(b)) return;
    yield* this.#entries('', await entryOf(this.#a, a, 0), await entryOf(this.#b, b, 0));
  }

  async *#entries(at: string, a: Entry, b: Entry): AsyncGenerator<KbFileDiff> {
    if (a.kind === 'directory' && b.kind === 'directory') {
      let isEmpty = true;
      for await (const file of this.#inside(at, a, b)) {
        isEmpty = false;
        yield file;
      }
      // The same names with the same contents, put together in another way.
      if (isEmpty) yield changed(at, a, b, null);
    } else if (a.kind !== b.kind) yield changed(at, a, b, null);
    else yield changed(at, a, b, await this.#files(a, b));
  }

  /** Both lists are sorted by name. */
  async *#inside(at: string, a: Entry, b: Entry): AsyncGenerator<KbFileDiff> {
    const [ours, theirs] = [this.#a.children(a.cid), this.#b.children(b.cid)];
    let [one, other] = [await ours.next(), await theirs.next()];
    while (one.done !== true || other.done !== true) {
      const [x, y] = [
        one.done === true ? undefined : one.value,
        other.done === true ? undefined : other.value,
      ];
      const name = y === undefined || (x !== undefined && x.name <= y.name) ? x!.name : y.name;
      const path = at === '' ? name : `${at}/${name}`;
      const [inA, inB] = [x?.name === name ? x : undefined, y?.name === name ? y : undefined];
      if (inA !== undefined) one = await ours.next();
      if (inB !== undefined) other = await theirs.next();
      if (inA !== undefined && inB !== undefined && inA.cid.equals(inB.cid)) continue;
      const before = inA && (await entryOf(this.#a, inA.cid, inA.tsize));
      const after = inB && (await entryOf(this.#b, inB.cid, inB.tsize));
      if (before !== undefined && after !== undefined) yield* this.#entries(path, before, after);
      else if (before !== undefined) yield { ...none(path, 'removed'), a: shown(before) };
      else yield { ...none(path, 'added'), b: shown(after!) };
    }
  }

  async #files(a: Entry, b: Entry): Promise<KbDifference> {
    const { as, context } = this.#how;
    const isShort = Math.max(a.sizeBytes, b.sizeBytes) <= MERGE_LIMITS.bytes;
    if (as === 'bytes' || (as === 'auto' && !isShort)) return await this.#bytes(a, b);
    if (!isShort) {
      const most = `${MERGE_LIMITS.bytes} bytes`;
      throw new AegisError('TOO_LARGE', `only files of at most ${most} are compared as ${as}`);
    }
    const [before, after] = [await whole(this.#a, a), await whole(this.#b, b)];
    const [one, other] = [textOf(before), textOf(after)];
    const json =
      as === 'text' || one === undefined || other === undefined
        ? undefined
        : compareJson(one, other);
    // What differs in its layout only differs as text.
    if (json !== undefined && (as === 'json' || json.members.length > 0)) return mutable(json);
    if (as === 'json') throw new AegisError('BAD_REQUEST', 'they are not both JSON objects');
    if (one !== undefined && other !== undefined) return mutable(compareText(one, other, context));
    if (as === 'text') return mutable(compareText(lossy(before), lossy(after), context));
    return await this.#bytes(a, b);
  }

  async #bytes(a: Entry, b: Entry): Promise<KbDifference> {
    const [one, other] = [await bytesOf(this.#a, a), await bytesOf(this.#b, b)];
    return { type: 'bytes', offset: await firstDifference(one, other) };
  }
}

async function entryOf(exporter: Exporter, cid: CID, tsize: number): Promise<Entry> {
  const { kind, sizeBytes = tsize } = await exporter.describe(cid);
  return { cid, kind, sizeBytes };
}

const shown = ({ cid, kind, sizeBytes }: Entry) => ({ cid: cid.toString(), kind, sizeBytes });

const none = (at: string, status: 'added' | 'removed') => ({
  ...{ at, status, a: null, b: null, difference: null },
});

const changed = (at: string, a: Entry, b: Entry, difference: KbDifference | null): KbFileDiff => ({
  at,
  status: 'changed',
  a: shown(a),
  b: shown(b),
  difference,
});

/** The contract has no readonly. */
const mutable = (difference: object): KbDifference => difference as KbDifference;

const lossy = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

async function bytesOf(exporter: Exporter, { cid }: Entry): Promise<AsyncIterable<Uint8Array>> {
  const content = await exporter.open(cid);
  if (content.kind === 'file') return content.bytes;
  throw new AegisError('BAD_DATA', `the object ${cid.toString()} has become a directory`);
}

async function whole(exporter: Exporter, entry: Entry): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await bytesOf(exporter, entry)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
