/**
 * What an operator means by `PATH` or `PATH@VERSION`: which version, and what inside it. A path
 * below a stored directory means the thing of that name inside the directory.
 */
import { AegisError } from '../errors.ts';
import type { VersionGraph } from '../kb/versions.ts';
import { parsePath } from '../model/path.ts';
import type { SignedVersion } from '../model/version.ts';

export interface Reference {
  readonly signed: SignedVersion;
  /** Names to follow from the root of the version; empty for the version itself. */
  readonly inside: readonly string[];
}

/** Fewer characters of a version could be a part of a name by chance. */
const VERSION_CHARACTERS_MIN = 8;

/**
 * By what this node knows, final or not.
 * @throws {AegisError} `NOT_FOUND`, `BAD_REQUEST`.
 */
export function resolveReference(graph: VersionGraph, text: string): Reference {
  for (const { path, inside } of readings(text)) {
    const signed = graph.shown(path);
    if (signed !== undefined && isMeant(signed, inside)) return { signed, inside };
  }
  const exact = findMarked(graph, text);
  if (exact === undefined) throw notFound(text);
  return exact;
}

/**
 * By what is final. A version that is named exactly may be any.
 * @param head the final version that is shown under a path.
 * @throws {AegisError} `NOT_FOUND`, `BAD_REQUEST`.
 */
export async function resolveFinal(
  graph: VersionGraph,
  text: string,
  head: (path: string) => Promise<SignedVersion | undefined>,
): Promise<Reference> {
  for (const { path, inside } of readings(text)) {
    const signed = await head(path);
    if (signed !== undefined && isMeant(signed, inside)) return { signed, inside };
  }
  const exact = findMarked(graph, text);
  if (exact !== undefined) return exact;
  const isKnown = readings(text).some(({ path, inside }) => {
    const signed = graph.shown(path);
    return signed !== undefined && isMeant(signed, inside);
  });
  if (!isKnown) throw notFound(text);
  throw new AegisError('NOT_FOUND', `nothing under ${JSON.stringify(text)} is final yet`, {
    hint: 'See what this node has, final or not: aegis kb get --provisional',
  });
}

/**
 * A version of a path itself, named or shown; a deletion is one too (W3).
 * @throws {AegisError} `NOT_FOUND`, `BAD_REQUEST` for what is inside a directory.
 */
export function resolveVersion(
  graph: VersionGraph,
  text: string,
): { readonly signed: SignedVersion; readonly isMarked: boolean } {
  const shown = graph.shown(parsePath(text));
  if (shown !== undefined) return { signed: shown, isMarked: false };
  const exact = findMarked(graph, text);
  if (exact === undefined) throw notFound(text);
  if (exact.inside.length === 0) return { signed: exact.signed, isMarked: true };
  throw new AegisError('BAD_REQUEST', `${JSON.stringify(text)} is inside a directory`, {
    hint: 'A directory has versions as a whole: name it, or put the file under a path of its own.',
  });
}

/** The longest path first: what stands there itself comes before what is inside a directory. */
function readings(text: string): { path: string; inside: string[] }[] {
  const parts = parsePath(text).split('/');
  return parts.map((_, n) => {
    const length = parts.length - n;
    return { path: parts.slice(0, length).join('/'), inside: parts.slice(length) };
  });
}

const isMeant = ({ version }: SignedVersion, inside: readonly string[]): boolean =>
  version.deleted !== true && (inside.length === 0 || version.directory === true);

function findMarked(graph: VersionGraph, text: string): Reference | undefined {
  const at = text.lastIndexOf('@');
  const mark = at > 0 ? text.slice(at + 1) : '';
  const isMark = mark.length >= VERSION_CHARACTERS_MIN && /^[a-z2-7]+$/.test(mark);
  return isMark ? findVersion(graph, text.slice(0, at), mark) : undefined;
}

function findVersion(graph: VersionGraph, path: string, mark: string): Reference {
  const parts = parsePath(path).split('/');
  for (let length = parts.length; length > 0; length -= 1) {
    const log = graph.log(parts.slice(0, length).join('/'));
    const found = log.filter(({ cidText }) => cidText === mark || cidText.endsWith(mark));
    if (found.length > 1) {
      throw new AegisError('BAD_REQUEST', `${mark} may mean ${found.length} versions of ${path}`, {
        hint: 'Give more of the version; see them with aegis kb log.',
      });
    }
    const signed = found[0];
    if (signed !== undefined) return { signed, inside: parts.slice(length) };
  }
  throw notFound(`${path}@${mark}`);
}

const notFound = (what: string): AegisError =>
  new AegisError('NOT_FOUND', `this node knows no ${JSON.stringify(what)}`, {
    hint: 'See what it knows: aegis kb ls',
  });
