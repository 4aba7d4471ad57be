import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { memoryOf, packEntries, unpackEntries } from '../../../src/core/storage/packed-entries.ts';

const entries = fc.array(
  fc.record({
    table: fc.constantFrom('a', 'b', 'c/d'),
    key: fc.string(),
    value: fc.option(fc.uint8Array({ maxLength: 20 }), { nil: undefined }),
  }),
);

test('entries arrive as they were packed, in their order, in memory of their own', () => {
  fc.assert(
    fc.property(entries, (some) => {
      const packed = packEntries(some);
      const moved = structuredClone(packed, { transfer: memoryOf(packed) });
      expect(unpackEntries(moved)).toEqual(some);
      expect(packed.bytes).toHaveLength(0);
      for (const { value } of some) expect(value?.buffer.detached ?? false).toBe(false);
    }),
  );
});
