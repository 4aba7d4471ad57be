/** Claims that the state does not bear out. */
import { sha256 } from '../../../../src/core/crypto/hash.ts';
import { decode, encode } from '../../../../src/core/model/cbor.ts';
import { aClaim, flipped, inClaim, listOf, type Map, type Mutation } from './mutant-parts.ts';
import { recoded } from './recode.ts';

const pathOf = (version: Uint8Array): string => {
  const { payload } = decode(version, { maxBytes: 8192 }) as { payload: Uint8Array };
  return (decode(payload, { maxBytes: 8192 }) as { path: string }).path;
};

export const CLAIM_MUTATIONS: Readonly<Record<string, Mutation>> = {
  'another encoding of a value': inClaim('value', (claim, { chance }) => {
    claim['value'] = recoded(claim['value'] as Uint8Array, chance);
  }),

  'no claims': (proof) => {
    proof.claims = [];
  },
  'the claims of another height': (proof, { other }) => {
    proof.claims = other().claims;
  },
  'a claim of another path': inClaim(undefined, (claim, { chance }) => {
    const path = claim['path'] as string;
    // In another directory there may be nothing either, at the same place.
    const { leaves, other } = claim;
    const isEmpty =
      claim['type'] !== 'value' && other === undefined && !listOf(leaves ?? []).length;
    if (!isEmpty) claim['path'] = `${path}${path === '' ? '' : '/'}${chance.below(1e6)}`;
  }),
  'a path that is none': inClaim(undefined, (claim, { chance }) => {
    claim['path'] = chance.pick(['/a', 'a/', 'a//b', '..', 'a/./b', 'a\0', 'x'.repeat(1025)]);
  }),
  'a sibling left out': inClaim(undefined, (claim, { chance }) => {
    const siblings = listOf(claim['siblings']);
    if (siblings.length === 0) return;
    claim['siblings'] = siblings.toSpliced(chance.below(siblings.length), 1);
  }),
  'a sibling too many': inClaim(undefined, (claim, { chance }) => {
    const siblings = listOf(claim['siblings']);
    const extra = chance.pick([new Uint8Array(32), chance.bytes(32), chance.bytes(31)]);
    claim['siblings'] = siblings.toSpliced(chance.below(siblings.length + 1), 0, extra);
  }),
  'two siblings changed places': inClaim(undefined, (claim, { chance }) => {
    const siblings = listOf(claim['siblings']);
    const [one, two] = [chance.below(siblings.length || 1), chance.below(siblings.length || 1)];
    if (one === two || Buffer.compare(siblings[one]!, siblings[two]!) === 0) return;
    claim['siblings'] = siblings.with(one, siblings[two]!).with(two, siblings[one]!);
  }),
  'another sibling': inClaim(undefined, (claim, { chance }) => {
    const siblings = listOf(claim['siblings']);
    if (siblings.length === 0) return;
    const n = chance.below(siblings.length);
    claim['siblings'] = siblings.with(
      n,
      chance.pick([flipped(siblings[n]!, chance), chance.bytes(32)]),
    );
  }),
  'another value': inClaim('value', (claim, { chance }) => {
    const value = decode(claim['value'] as Uint8Array, { maxBytes: 8192 }) as Map;
    const heads = value['heads'] as unknown[][];
    const changed: Map[] = [
      { ...value, generation: (value['generation'] as number) + 1 },
      { ...value, heads: heads.slice(1) },
      { ...value, heads: [...heads, heads[0]] },
      { ...value, heads: heads.map((head) => [head[0], (head[1] as number) + 1]) },
      {
        ...value,
        heads: heads.map((head) => (head.length === 3 ? head.slice(0, 2) : [...head, true])),
      },
    ];
    claim['value'] = encode(chance.pick(changed));
  }),
  'the value of another path': inClaim('value', (claim, { history, chance }) => {
    const path = chance.pick([...history.paths.keys()]);
    if (path === claim['path']) return;
    claim['value'] = history.tree.get(history.names.refKey(path))!;
  }),
  'a lineage with a version of another path': inClaim('value', (claim, { history, chance }) => {
    const lineage = listOf(claim['lineage']);
    const foreign = chance.pick([...history.versions.values()]).bytes;
    if (pathOf(foreign) !== claim['path']) claim['lineage'] = [...lineage, foreign];
  }),
  'a lineage without its head': inClaim('value', (claim) => {
    const lineage = listOf(claim['lineage']);
    if (lineage.length < 2) return;
    // A parent is no head: what follows it puts it away.
    claim['lineage'] = lineage.slice(1);
  }),
  'a lineage the other way round': inClaim('value', (claim) => {
    const lineage = listOf(claim['lineage']);
    if (lineage.length < 2) return;
    claim['lineage'] = lineage.toReversed();
  }),
  'a version that says something else': inClaim('value', (claim, { chance }) => {
    const lineage = listOf(claim['lineage']);
    if (lineage.length === 0) return;
    const n = chance.below(lineage.length);
    claim['lineage'] = lineage.with(n, flipped(lineage[n]!, chance));
  }),
  'an absence of what is there': inClaim('value', (claim, { chance }) => {
    const { path, siblings, value } = claim;
    for (const name of Object.keys(claim)) delete claim[name];
    const other = [chance.bytes(32), sha256(value as Uint8Array)];
    Object.assign(claim, { type: 'absence', path, siblings }, chance.pick<Map>([{}, { other }]));
  }),
  'an absence by its own leaf': (proof, at) => {
    const claim = aClaim(proof, at, 'value');
    if (claim === undefined) return;
    const { path, siblings, value } = claim;
    const key = Buffer.from(at.history.names.refKey(path as string), 'hex');
    for (const name of Object.keys(claim)) delete claim[name];
    const other = [new Uint8Array(key), sha256(value as Uint8Array)];
    Object.assign(claim, { type: 'absence', path, siblings, other });
  },
  'an absence beside another leaf': inClaim('absence', (claim, { chance }) => {
    claim['other'] = [chance.bytes(32), chance.bytes(32)];
  }),
  'an absence without its leaf': inClaim('absence', (claim) => {
    if (claim['other'] === undefined) return;
    delete claim['other'];
  }),
  'a name left out of a directory': inClaim('directory', (claim, { chance }) => {
    const leaves = claim['leaves'] as unknown[];
    if (leaves.length === 0) return;
    claim['leaves'] = leaves.toSpliced(chance.below(leaves.length), 1);
  }),
  'a name more in a directory': inClaim('directory', (claim, { history, chance }) => {
    const tag = history.names.tagOf(claim['path'] as string);
    const key = new Uint8Array(Buffer.concat([Buffer.from(tag, 'hex'), chance.bytes(24)]));
    const leaves = claim['leaves'] as [Uint8Array, Uint8Array][];
    const more = [
      ...leaves,
      [key, encode({ v: 1, type: 'mark', name: history.names.seal('new') })],
    ];
    const order = (a: unknown[], b: unknown[]) =>
      Buffer.compare(a[0] as Uint8Array, b[0] as Uint8Array);
    claim['leaves'] = chance.below(4) === 0 ? more : more.toSorted(order);
    delete claim[chance.pick(['other', 'none'])];
  }),
  'leaves of a directory in another order': inClaim('directory', (claim) => {
    const leaves = claim['leaves'] as unknown[];
    if (leaves.length < 2) return;
    claim['leaves'] = leaves.toReversed();
  }),
  'a directory that is said to be empty': inClaim('directory', (claim, { chance }) => {
    const siblings = listOf(claim['siblings']);
    if ((claim['leaves'] as unknown[]).length === 0) return;
    claim['leaves'] = [];
    claim['siblings'] = siblings.slice(0, chance.below(siblings.length + 1));
    if (chance.below(2) === 0) claim['other'] = [chance.bytes(32), chance.bytes(32)];
  }),
  'a claim with the fields of another': inClaim(undefined, (claim, { chance }) => {
    const names = ['value', 'lineage', 'other', 'leaves'].filter(
      (name) => claim[name] === undefined,
    );
    const isOther = (name: string) => name !== 'other' || claim['type'] === 'value';
    claim[chance.pick(names.filter(isOther))] = [];
  }),
  'a claim without one of its fields': inClaim(undefined, (claim, { chance }) => {
    const names = ['type', 'path', 'siblings', 'value', 'lineage', 'leaves'];
    delete claim[chance.pick(names.filter((name) => claim[name] !== undefined))];
  }),
};
