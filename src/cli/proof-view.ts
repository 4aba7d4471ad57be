/** How people see what a proof says. */
import type { VerifyResult } from '../core/api/contract/proofs.ts';
import { facts, bytes as sizeText } from './format.ts';
import { safeText } from './text.ts';

type ClaimResult = VerifyResult['claims'][number];
type DirectoryClaim = Extract<ClaimResult, { type: 'directory' }>;
type Heads = DirectoryClaim['values'][number]['heads'];

export function verifyText({ claims, content, ...verdict }: VerifyResult): string {
  const { clusterId, height, time, digest, from } = verdict;
  const head = facts([
    ['holds at', `height ${height}, block of ${time}`],
    ['block', digest],
    ['cluster', clusterId],
    ['trusted', from === 0 ? 'the genesis' : `the checkpoint at height ${from}`],
    ['content', content === null ? undefined : `${safeText(content.file)} is ${content.cid}`],
  ]);
  return [head, ...claims.map(claimText)].join('\n\n');
}

function claimText(claim: ClaimResult): string {
  if (claim.type === 'absence') return `${safeText(claim.path)}: there is nothing`;
  if (claim.type === 'directory') return directoryText(claim);
  const { path, heads, erased, version } = claim;
  const shown = [`path ${safeText(path)}${erased ? '  (erased)' : ''}`];
  if (version === null) return [...shown, ...heads.map(headText)].join('\n');
  const { cid, kind, sizeBytes, author, time, generation, deleted } = version;
  const kept = version.head ? '' : '  (an older version)';
  const what = deleted ? 'deleted' : `${kind}  ${sizeText(sizeBytes)}  ${cid}`;
  const others = heads.filter((head) => head.version !== version.version);
  return [
    ...shown,
    `  version ${version.version}${kept}`,
    `  ${time}  ${author}  generation ${generation}`,
    `  ${what}`,
    ...(version.head && others.length > 0 ? ['besides:', ...others.map(headText)] : []),
  ].join('\n');
}

const headText = ({ version, generation, deleted }: Heads[number]): string =>
  `  head ${version}  generation ${generation}${deleted ? '  deleted' : ''}`;

function directoryText({ path, values, directories, erased }: DirectoryClaim): string {
  const isDeleted = (heads: Heads) => heads.every((head) => head.deleted);
  const lines = [
    ...directories.map((name) => `  ${safeText(name)}/`),
    ...values.map(({ path: name, heads }) => {
      return `  ${safeText(name)}${isDeleted(heads) ? '  deleted' : ''}`;
    }),
    ...(erased > 0 ? [`  ${erased} erased`] : []),
  ];
  const name = path === '' ? 'the root' : `${safeText(path)}/`;
  return lines.length === 0 ? `directory ${name}: empty` : `directory ${name}\n${lines.join('\n')}`;
}
