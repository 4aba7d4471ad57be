import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AegisError } from '../../../src/core/errors.ts';
import { apartFrom, parseGroups } from '../../../src/core/node/devnet-groups.ts';

const nodesOf = (size: number) =>
  Array.from({ length: size }, (_, i) => ({ name: `node${i + 1}`, nodeId: `id${i + 1}` }));

/** As `Devnet.find`. */
const parse = (text: string, size = 4) => {
  const nodes = nodesOf(size);
  return parseGroups(text, nodes, (which) => {
    const node = nodes.find(({ name }, i) => which === name || which === String(i + 1));
    if (node === undefined) throw new AegisError('NOT_FOUND', `no ${which}`);
    return node;
  });
};

describe('parseGroups', () => {
  it('takes numbers and names, and makes one more group of those that are not named', () => {
    expect(parse('1,2/3,4')).toEqual([
      ['node1', 'node2'],
      ['node3', 'node4'],
    ]);
    expect(parse('node4')).toEqual([['node4'], ['node1', 'node2', 'node3']]);
    expect(parse('3 / 1')).toEqual([['node3'], ['node1'], ['node2', 'node4']]);
  });

  it('refuses what is no partition, and says which node is not there', () => {
    for (const wrong of ['', '/', '1,/2', '1/', '1,1', '1/node1', '1,2,3,4']) {
      expect(() => parse(wrong), wrong).toThrow(expect.objectContaining({ code: 'USAGE' }));
    }
    expect(() => parse('1/7')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
  });

  it('holds every node once, whatever the partition', () => {
    const sides = fc.array(fc.nat({ max: 3 }), { minLength: 2, maxLength: 16 });
    fc.assert(
      fc.property(sides, (side) => {
        fc.pre(new Set(side).size > 1);
        const text = [...new Set(side)]
          .map((one) => side.flatMap((other, i) => (other === one ? [i + 1] : [])).join(','))
          .join('/');
        const nodes = nodesOf(side.length);
        const groups = parse(text, side.length);
        expect(groups.flat().toSorted()).toEqual(nodes.map(({ name }) => name).toSorted());
        for (const [i, node] of nodes.entries()) {
          const apart = nodes.flatMap(({ nodeId }, j) => (side[i] === side[j] ? [] : [nodeId]));
          expect(apartFrom(node, groups, nodes)).toEqual(apart);
        }
      }),
    );
  });
});

describe('apartFrom', () => {
  it('is nobody without groups', () => {
    const nodes = nodesOf(3);
    expect(apartFrom(nodes[0]!, undefined, nodes)).toEqual([]);
  });
});
