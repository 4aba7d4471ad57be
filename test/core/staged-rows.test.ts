/** W41: rows above rows, in the order of the bytes of their keys. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LogEntry } from '../../src/core/machine.ts';
import { MemoryRows } from '../../src/core/memory-rows.ts';
import type { Rows, RowsQuery } from '../../src/core/ports.ts';
import { compareKeys, SortedTable } from '../../src/core/sorted-table.ts';
import { StagedRows } from '../../src/core/staged-rows.ts';
import { StepRows } from '../../src/core/step-rows.ts';

/** Few keys, so that they meet; some whose order in UTF-16 is another. */
const key = fc.constantFrom('', 'a', 'a\0', 'ab', 'b', 'é', '\u{fffd}', '\u{1f600}', 'z\u{ffff}');
const value = fc.option(
  fc.nat(255).map((n) => Uint8Array.of(n)),
  { nil: undefined },
);
const entry: fc.Arbitrary<LogEntry> = fc.record({ table: fc.constantFrom('t', 'u'), key, value });
const query: fc.Arbitrary<RowsQuery> = fc.record({
  table: fc.constantFrom('t', 'u', 'none'),
  from: key,
  to: fc.option(key, { nil: undefined }),
  limit: fc.integer({ min: 1, max: 5 }),
  isReverse: fc.boolean(),
});

/** What a table must say, without any of the cleverness. */
class Model implements Rows {
  readonly #rows = new Map<string, Map<string, Uint8Array>>();

  apply(entries: readonly LogEntry[]): void {
    for (const one of entries) {
      const rows = this.#rows.get(one.table) ?? new Map<string, Uint8Array>();
      this.#rows.set(one.table, rows);
      if (one.value === undefined) rows.delete(one.key);
      else rows.set(one.key, one.value);
    }
  }

  get(table: string, one: string): Uint8Array | undefined {
    return this.#rows.get(table)?.get(one);
  }

  range({ table, from, to, limit, isReverse = false }: RowsQuery) {
    const bytes = (text: string): Buffer => Buffer.from(text);
    const rows = [...(this.#rows.get(table) ?? [])]
      .toSorted(([a], [b]) => Buffer.compare(bytes(a), bytes(b)))
      .filter(([one]) => Buffer.compare(bytes(one), bytes(from)) >= 0)
      .filter(([one]) => to === undefined || Buffer.compare(bytes(one), bytes(to)) < 0)
      .map(([one, bytesOf]) => ({ key: one, value: bytesOf }));
    return (isReverse ? rows.toReversed() : rows).slice(0, limit);
  }
}

test('keys stand in the order of their bytes', () => {
  const unit = fc.constantFrom('a', 'b', 'é', '\u{d7ff}', '\u{e000}', '\u{ffff}', '\u{1f600}');
  const text = fc.string({ unit, maxLength: 4 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      const want = Buffer.compare(Buffer.from(a), Buffer.from(b));
      expect(Math.sign(compareKeys(a, b))).toBe(want);
    }),
  );
});

test('a large table is read in order, forwards and backwards, however it was filled', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1999 }), { maxLength: 4000 }), (steps) => {
      const table = new SortedTable<number>();
      const model = new Set<string>();
      for (const [n, step] of steps.entries()) {
        const name = String(step).padStart(4, '0');
        if (n === 100) expect([...table.between({ from: '' })]).toHaveLength(model.size);
        if (n % 3 === 2) {
          table.delete(name);
          model.delete(name);
        } else {
          table.set(name, step);
          model.add(name);
        }
      }
      const span = { from: '0500', to: '1500' };
      const want = [...model].toSorted().filter((name) => name >= '0500' && name < '1500');
      const keys = (isReverse: boolean) =>
        [...table.between({ ...span, isReverse })].map(([name]) => name);
      expect(keys(false)).toEqual(want);
      expect(keys(true)).toEqual(want.toReversed());
      expect(table.size).toBe(model.size);
    }),
    { numRuns: 30 },
  );
});

test('what a step has written, what is staged and what is durable read as one', () => {
  const command = fc.oneof(
    fc.record({ type: fc.constant('step' as const), entries: fc.array(entry, { maxLength: 5 }) }),
    fc.record({ type: fc.constant('land' as const) }),
  );
  fc.assert(
    fc.property(fc.array(entry), fc.array(command), fc.array(query), (old, commands, queries) => {
      const disk = new MemoryRows(old);
      const staged = new StagedRows(disk);
      const rows = new StepRows(staged);
      const model = new Model();
      model.apply(old);
      const underWay: { entries: readonly LogEntry[]; landed: () => void }[] = [];
      const check = (): void => {
        for (const one of queries) {
          expect(rows.range(one)).toEqual(model.range(one));
          expect(rows.get(one.table, one.from)).toEqual(model.get(one.table, one.from));
        }
      };
      for (const one of commands) {
        if (one.type === 'step') {
          rows.begin();
          for (const { table, key: name, value: bytes } of one.entries) {
            rows.set(table, name, bytes);
          }
          model.apply(one.entries);
          check();
          underWay.push({ entries: one.entries, landed: staged.stage(one.entries) });
          rows.begin();
        } else {
          const first = underWay.shift();
          if (first !== undefined) disk.apply(first.entries);
          first?.landed();
        }
        check();
      }
      for (const { entries: rest, landed } of underWay) {
        disk.apply(rest);
        landed();
      }
      rows.begin();
      check();
      for (const one of queries) expect(disk.range(one)).toEqual(model.range(one));
    }),
  );
});

test('what has not landed is gone with the memory', () => {
  const disk = new MemoryRows();
  const staged = new StagedRows(disk);
  staged.stage([{ table: 't', key: 'a', value: Uint8Array.of(1) }]);
  expect(staged.get('t', 'a')).toEqual(Uint8Array.of(1));
  expect(new StagedRows(disk).get('t', 'a')).toBeUndefined();
});
