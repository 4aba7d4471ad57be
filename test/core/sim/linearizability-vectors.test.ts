/** The verdicts of Porcupine on 102 histories of etcd that Jepsen recorded. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { linearizable, type Model, type Op } from '../../../src/core/sim/linearizability.ts';
import { readVectors } from '../../helpers/vectors.ts';

type Input =
  | { readonly type: 'read' }
  | { readonly type: 'write'; readonly to: string }
  | { readonly type: 'cas'; readonly from: string; readonly to: string };
/** What was read, or whether the exchange took place; undefined where nothing was answered. */
type Output = string | boolean | undefined;

/** A register that begins empty. */
const register: Model<string, Input, Output> = {
  init: () => 'nil',
  step(state, input, output) {
    if (input.type === 'read') return output === undefined || output === state ? state : undefined;
    if (input.type === 'write') return input.to;
    const isEqual = state === input.from;
    if (output !== undefined && output !== isEqual) return undefined;
    return isEqual ? input.to : state;
  },
  key: (state) => state,
};

const LINE = /^INFO\s+jepsen\.util - (\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(.*)$/;

function inputOf(type: string, value: string): Input {
  if (type === 'read') return { type };
  if (type === 'write') return { type, to: value };
  const [from, to] = value.slice(1, -1).split(' ');
  return { type: 'cas', from: from!, to: to! };
}

/** The history of a log: time is the number of the line. */
function historyOf(text: string): Op<Input, Output>[] {
  const open = new Map<string, { input: Input; call: number }>();
  const ops: Op<Input, Output>[] = [];
  for (const [at, line] of text.split('\n').entries()) {
    const [, process, fate, type, value] = LINE.exec(line) ?? [];
    if (process === undefined) continue;
    const client = Number(process);
    if (fate === 'invoke') {
      open.set(process, { input: inputOf(type!, value!), call: at });
      continue;
    }
    const { input, call } = open.get(process)!;
    // An operation that nobody knows the end of stays open.
    if (fate === 'info') continue;
    open.delete(process);
    // A read that failed says nothing.
    if (input.type === 'read' && fate === 'fail') continue;
    const output = input.type === 'read' ? value : fate === 'ok';
    ops.push({ client, input, output, call, return: at });
  }
  for (const [process, { input, call }] of open) {
    ops.push({ client: Number(process), input, output: undefined, call, return: Infinity });
  }
  return ops;
}

const folder = new URL('../../vectors/linearizability/jepsen/', import.meta.url);
const { verdicts } = readVectors('linearizability/verdicts.json') as {
  readonly verdicts: Readonly<Record<string, boolean>>;
};

test('every history has the verdict that Porcupine gives it', () => {
  // One history of the set, etcd_095, is empty and has no verdict.
  const files = readdirSync(folder).filter((file) => file !== 'etcd_095.log');
  expect(files).toHaveLength(102);
  expect(Object.values(verdicts).filter(Boolean).length).toBeGreaterThan(10);
  const found = files.map((file): [string, boolean] => {
    const history = historyOf(readFileSync(new URL(file, folder), 'utf8'));
    expect(history.length, file).toBeGreaterThan(10);
    return [file, linearizable(register, history)];
  });
  expect(Object.fromEntries(found)).toEqual(verdicts);
});
