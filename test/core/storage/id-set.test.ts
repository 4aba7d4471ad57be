import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IdSet } from '../../../src/core/storage/id-set.ts';

const ids = fc.array(fc.oneof(fc.nat(200), fc.nat(2 ** 40)), { maxLength: 60 });

test('a set of bits is a set', () => {
  fc.assert(
    fc.property(ids, ids, ids, (first, second, asked) => {
      const model = new Set<number>();
      const set = new IdSet();
      for (const id of first) {
        expect(set.add(id)).toBe(!model.has(id));
        model.add(id);
      }
      const other = new IdSet();
      for (const id of second) other.add(id);
      set.join(other);
      for (const id of second) model.add(id);
      for (const id of [...first, ...second, ...asked]) expect(set.has(id)).toBe(model.has(id));
    }),
  );
});
