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

/** @throws {AegisError} `NOT_FOUND`, `BAD_REQUEST`. */
export function resolveReference(graph: VersionGraph, text: string): Reference {
  const exact = findShown(graph, text);
  if (exact !== undefined) return exact;
  const at = text.lastIndexOf('@');
  const mark = at > 0 ? text.slice(at + 1) : '';
  if (mark.length >= VERSION_CHARACTERS_MIN && /^[a-z2-7]+$/.test(mark)) {
    return findVersion(graph, text.slice(0, at), mark);
  }
  throw notFound(text);
}

function findShown(graph: VersionGraph, text: string): Reference | undefined {
  const parts = parsePath(text).split('/');
  for (let length = parts.length; length > 0; length -= 1) {
    const signed = graph.shown(parts.slice(0, length).join('/'));
    if (signed === undefined || signed.version.deleted === true) continue;
    const inside = parts.slice(length);
    if (inside.length === 0 || signed.version.directory === true) return { signed, inside };
  }
  return undefined;
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
