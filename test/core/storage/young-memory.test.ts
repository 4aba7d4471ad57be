import { expect, it } from 'vitest';
import { YoungMemory } from '../../../src/core/storage/young-memory.ts';
import { MIB } from '../../../src/core/units.ts';

it('finds the memory of dead arrays long before V8 would look', () => {
  const young = new YoungMemory();
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 56; i += 1) {
    const array = new Uint8Array(MIB).fill(i);
    young.passed(array.length);
  }
  // V8 itself looks at 64 MiB.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * MIB);
});
