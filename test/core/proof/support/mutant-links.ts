/** Links that no history has. */

import { sha256Hex } from '../../../../src/core/crypto/hash.ts';
import { decode, encode } from '../../../../src/core/model/cbor.ts';
import { custodianPairs, custodiansDigest } from '../../../../src/core/model/custodians.ts';
import { type Chance, type Custodian, entryOf, type History, sorted } from './history.ts';
import { certified, inLink, type Map, type Mutation } from './mutant-parts.ts';
import { recoded } from './recode.ts';

/** The header with other fields, as an honest writer would write them. */
const reheaded = (header: Uint8Array, fields: Map): Uint8Array =>
  encode({ ...(decode(header, { maxBytes: 1024 }) as Map), ...fields });

const oneOf = (chance: Chance, history: History): Custodian[] => [
  chance.pick(history.blocks.flatMap(({ next }) => next)),
];

const certificateOf = (link: Map) =>
  decode(link['certificate'] as Uint8Array, { maxBytes: 512 }) as unknown[];

/** Whether the signers of a link are a quorum of others than those whose certificate it is. */
function isQuorumOf(link: Map, others: readonly Custodian[], own: readonly Custodian[]): boolean {
  const bitmap = certificateOf(link)[4] as Uint8Array;
  const signers = own.flatMap((_, at) => (((bitmap[at >> 3] ?? 0) >> (at & 7)) & 1 ? [at] : []));
  const isKnown = signers.every((at) => others[at]?.secret === own[at]!.secret);
  return isKnown && signers.length >= others.length - Math.floor((others.length - 1) / 3);
}

export const LINK_MUTATIONS: Readonly<Record<string, Mutation>> = {
  'another encoding of a header': inLink((link, _block, { chance }) => {
    link['header'] = recoded(link['header'] as Uint8Array, chance);
  }),
  'another encoding of a certificate': inLink((link, _block, { chance }) => {
    link['certificate'] = recoded(link['certificate'] as Uint8Array, chance);
  }),
  'two links changed places': (proof, at) => {
    const { links } = proof;
    if (links.length < 2) return;
    const n = at.chance.below(links.length - 1);
    proof.links = links.with(n, links[n + 1]!).with(n + 1, links[n]!);
  },
  'a hand-over left out': (proof, at) => {
    const found = certified(proof, at);
    const n = at.chance.below(found.length || 1);
    const [dropped, following] = [found[n], found[n + 1]];
    if (dropped === undefined || following === undefined) return;
    // Whoever trusts those before it needs no hand-over where a quorum of them goes on signing.
    if (!isQuorumOf(following.link, dropped.block.custodians, following.block.custodians)) {
      proof.links = proof.links.filter((one) => one !== dropped.link);
    }
  },
  'a link twice': (proof, { chance }) => {
    const n = chance.below(proof.links.length);
    proof.links.splice(n, 0, proof.links[n]!);
  },
  'the last link left out': (proof) => {
    proof.links.pop();
  },
  'the links of another height': (proof, { other }) => {
    proof.links = other().links;
  },
  'no links': (proof) => {
    proof.links = [];
  },
  'a certificate of another height': inLink((link, block, { chance, history }) => {
    const another = chance.pick(history.blocks.filter(({ height }) => height !== block.height));
    link['certificate'] = another.certificate;
  }),
  'no certificate': inLink((link) => {
    delete link['certificate'];
  }),
  'a certificate of prepare votes': inLink((link, block, { history }) => {
    const how = { phase: 'prepare', kind: 2 };
    link['certificate'] = history.certify(block, block.custodians, how);
  }),
  'prepare votes that are called commits': inLink((link, block, { history }) => {
    link['certificate'] = history.certify(block, block.custodians, { kind: 2 });
  }),
  'too few signers': inLink((link, block, { history, chance }) => {
    const { custodians } = block;
    const quorum = custodians.length - Math.floor((custodians.length - 1) / 3);
    const signers = chance.shuffled(custodians).slice(0, 1 + chance.below(quorum - 1));
    link['certificate'] = history.certify(block, sorted(signers));
  }),
  'a signer who has not signed': inLink((link, block, { history, chance }) => {
    const { custodians } = block;
    const one = chance.pick(custodians);
    const signers = custodians.filter(({ nodeId }) => nodeId !== one.nodeId);
    const fields = decode(history.certify(block, signers), { maxBytes: 512 }) as unknown[];
    const all = certificateOf({ certificate: history.certify(block, custodians) })[4];
    link['certificate'] = encode(fields.with(4, all));
  }),
  'a signer who is no custodian': inLink((link, block, { chance }) => {
    const fields = certificateOf(link);
    const bitmap = Uint8Array.from(fields[4] as Uint8Array);
    const extra = block.custodians.length + chance.below(8);
    const longer = new Uint8Array(Math.max(bitmap.length, (extra >> 3) + 1));
    longer.set(bitmap);
    longer[extra >> 3]! |= 1 << (extra & 7);
    link['certificate'] = encode(fields.with(4, longer));
  }),
  'a bitmap with a byte too many': inLink((link) => {
    const fields = certificateOf(link);
    const longer = Buffer.concat([fields[4] as Uint8Array, Buffer.of(0)]);
    link['certificate'] = encode(fields.with(4, new Uint8Array(longer)));
  }),
  'another view': inLink((link) => {
    const fields = certificateOf(link);
    link['certificate'] = encode(fields.with(2, (fields[2] as number) + 1));
  }),
  'a certificate by those who come after': inLink((link, block, { history }) => {
    const before = new Set(block.custodians.map(({ secret }) => sha256Hex(secret)));
    const isNew = block.next.some(({ secret }) => !before.has(sha256Hex(secret)));
    if (!isNew) return;
    // In their own order, as if it were the one in force.
    const place = { ...block, custodians: block.next };
    link['certificate'] = history.certify(place, block.next);
  }),

  'other custodians after it': inLink((link, block, { history, chance }) => {
    const known = new Set(block.next.map(({ nodeId }) => nodeId));
    const more = oneOf(chance, history).filter(({ nodeId }) => !known.has(nodeId));
    if (more.length === 0) return;
    link['custodians'] = custodianPairs(sorted([...block.next, ...more]).map(entryOf));
  }),
  'no custodians after it': inLink((link) => {
    if (link['custodians'] === undefined) return;
    delete link['custodians'];
  }),
  'custodians in another order': inLink((link) => {
    if (link['custodians'] === undefined) return;
    link['custodians'] = (link['custodians'] as unknown[]).toReversed();
  }),
  'a hand-over to a forger, whom nobody has named': inLink((link, _block, { history, chance }) => {
    const forgers = oneOf(chance, history).map(entryOf);
    link['custodians'] = custodianPairs(forgers);
    link['header'] = reheaded(link['header'] as Uint8Array, {
      custodians: custodiansDigest(forgers),
    });
  }),
  'a forged state that the custodians after it have signed': (proof, at) => {
    const { history, chance } = at;
    const { link, block } = certified(proof, at).at(-1) ?? {};
    const before = history.handovers.findLast(({ height }) => height < (block?.height ?? 0))?.block;
    if (link === undefined || block === undefined || before === undefined) return;
    // Keys of those who were custodians before the last hand-over: stolen, say.
    const stolen = before.custodians.filter(
      ({ nodeId, secret }) =>
        !block.custodians.some((one) => one.nodeId === nodeId && one.secret === secret),
    );
    if (stolen.length === 0) return;
    const header = reheaded(block.header, { stateRoot: chance.bytes(32) });
    link['header'] = header;
    link['certificate'] = history.certify(
      { ...block, header, custodians: before.custodians },
      before.custodians,
    );
  },
  'a header that says something else': inLink((link, _block, { chance }) => {
    const fields = [
      { stateRoot: chance.bytes(32) },
      { time: 1 + chance.below(1e12) },
      { previous: chance.bytes(32) },
      { height: 1 + chance.below(1e9) },
      { protocol: 3 + chance.below(9) },
      { clusterId: `aegisc1${'a'.repeat(52)}` },
      { v: 1 },
      { more: 1 },
      { proposer: 'nobody' },
    ];
    link['header'] = reheaded(link['header'] as Uint8Array, chance.pick<Map>(fields));
  }),
};
