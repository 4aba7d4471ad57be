import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linearizable, type Model, type Op } from '../../../src/core/sim/linearizability.ts';

interface Input {
  readonly name: string;
  /** What is written; undefined for a read. */
  readonly to?: number;
}
type TestOp = Op<Input, number | undefined>;

const registers: Model<number, Input, number | undefined> = {
  init: () => 0,
  step: (state, { to }, output) =>
    to ?? (output === undefined || output === state ? state : undefined),
  key: String,
  partition: ({ name }) => name,
};

/** The definition, tried in every way: some order of some operations explains the history. */
function isExplained(ops: readonly TestOp[], states: ReadonlyMap<string, number>): boolean {
  if (ops.every((op) => op.return === Infinity)) return true;
  return ops.some((op) => {
    // Nothing may happen before an operation that had returned before it was called.
    if (ops.some((other) => other.return < op.call)) return false;
    const { name } = op.input;
    const state = registers.step(states.get(name) ?? 0, op.input, op.output);
    if (state === undefined) return false;
    const rest = ops.filter((other) => other !== op);
    return isExplained(rest, new Map(states).set(name, state));
  });
}

const write = (call: number, end: number, to: number, name = 'a'): TestOp => {
  return { client: call, input: { name, to }, output: undefined, call, return: end };
};
const read = (call: number, end: number, output: number, name = 'a'): TestOp => {
  return { client: call, input: { name }, output, call, return: end };
};

const anyOp = fc
  .record({
    call: fc.nat(12),
    length: fc.oneof(fc.integer({ min: 0, max: 6 }), fc.constant(Infinity)),
    name: fc.constantFrom('a', 'b'),
    to: fc.option(fc.nat(2), { nil: undefined }),
    seen: fc.nat(2),
  })
  .map(({ call, length, name, to, seen }) =>
    to === undefined ? read(call, call + length, seen, name) : write(call, call + length, to, name),
  );

describe('linearizable', () => {
  it('agrees with trying every order', () => {
    const counts = { yes: 0, no: 0 };
    fc.assert(
      fc.property(fc.array(anyOp, { maxLength: 7 }), (ops) => {
        const isExpected = isExplained(ops, new Map());
        counts[isExpected ? 'yes' : 'no'] += 1;
        return linearizable(registers, ops) === isExpected;
      }),
      { numRuns: 3000 },
    );
    expect(Math.min(counts.yes, counts.no)).toBeGreaterThan(300);
  });

  it('accepts every history that one object at a time has made', () => {
    const step = fc.record({ to: fc.option(fc.nat(3), { nil: undefined }), before: fc.nat(30) });
    fc.assert(
      fc.property(fc.array(fc.tuple(step, fc.nat(30)), { maxLength: 60 }), (steps) => {
        let state = 0;
        const ops = steps.map(([{ to, before }, after], at) => {
          state = to ?? state;
          const [call, end] = [10 * at - before, 10 * at + after];
          return to === undefined ? read(call, end, state) : write(call, end, to);
        });
        return linearizable(registers, ops);
      }),
    );
  });

  it('refuses a read of what was written over before it began', () => {
    expect(linearizable(registers, [write(0, 1, 1), write(2, 3, 2), read(4, 5, 1)])).toBe(false);
    expect(linearizable(registers, [write(0, 1, 1), write(2, 4, 2), read(3, 5, 1)])).toBe(true);
  });

  it('lets what was never answered happen late, or never, but once', () => {
    const lost = write(0, Infinity, 1);
    expect(linearizable(registers, [lost, read(1, 2, 0), read(8, 9, 1)])).toBe(true);
    expect(linearizable(registers, [lost, read(1, 2, 0)])).toBe(true);
    const again = [lost, write(2, 3, 2), read(4, 5, 1), write(6, 7, 2), read(8, 9, 1)];
    expect(linearizable(registers, again)).toBe(false);
  });

  it('holds operations that touch to be concurrent', () => {
    expect(linearizable(registers, [write(0, 1, 1), read(1, 2, 0)])).toBe(true);
    expect(linearizable(registers, [write(0, 1, 1), read(2, 3, 0)])).toBe(false);
  });

  it('searches objects apart', () => {
    const ops = ['a', 'b', 'c', 'd', 'e', 'f'].flatMap((name) =>
      Array.from({ length: 7 }, (_, i) => write(0, 100, i, name)),
    );
    const all = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => read(101, 102, 6, name));
    expect(linearizable(registers, [...ops, ...all])).toBe(true);
    expect(linearizable(registers, [...ops, ...all, read(103, 104, 5, 'f')])).toBe(false);
  });

  it('refuses an operation that returns before its call', () => {
    expect(() => linearizable(registers, [read(2, 1, 0)])).toThrow('after its call');
  });
});
