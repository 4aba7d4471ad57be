import { describe, expect, it } from 'vitest';
import { takeTheirs } from '../../../../src/core/kb/merge/resolve.ts';
import { runSteps } from '../../../../src/core/kb/merge/steps.ts';
import type { SignedVersion } from '../../../../src/core/model/version.ts';
import { hashers } from '../helpers.ts';
import { History, type Tree } from './memory-objects.ts';

function conflicted(base: Tree, ...sides: readonly (Tree | undefined)[]) {
  const history = new History();
  const first = history.write(base);
  const heads = sides.map((tree, by) => history.write(tree, [first], { by, time: 10 + by }));
  return { history, heads, merge: history.merge(...heads) };
}

const taken = (history: History, merge: SignedVersion, places?: readonly string[]) =>
  runSteps(takeTheirs(history.versions, merge, places, hashers), history.objects.answer);

describe('what has lost', () => {
  it('takes the place of all of it', () => {
    const { history, heads, merge } = conflicted('1\n', '2\n', '3\n');
    const content = taken(history, merge);
    expect(content?.root.toString()).toBe(heads[0]!.version.root.toString());
    expect(history.show(merge)).toBe('3\n');
  });

  it('was a deletion: nothing is left', () => {
    const { history, merge } = conflicted('1\n', undefined, '3\n');
    expect(taken(history, merge)).toBeUndefined();
  });

  it('takes its place where it is wanted, and the rest stays', () => {
    const { history, merge } = conflicted(
      { d: { x: '1\n', y: '1\n' }, z: '1\n', same: 's' },
      { d: { x: '22\n' }, z: '2\n', same: 's' },
      { d: { x: '3\n', y: '3\n' }, z: '3\n', same: 's' },
    );
    const all = taken(history, merge)!;
    const wanted = { d: { x: '22\n' }, z: '2\n', same: 's' };
    expect(history.objects.show(all.root)).toEqual(wanted);
    expect(all).toMatchObject({ sizeBytes: 6, directory: true });
    const one = taken(history, merge, ['d/x'])!;
    const partly = { d: { x: '22\n', y: '3\n' }, z: '3\n', same: 's' };
    expect(history.objects.show(one.root)).toEqual(partly);
  });

  it('is found in the history of a merge that has inherited the conflict', () => {
    const { history, merge, heads } = conflicted(
      { x: '1\n', y: '1' },
      { x: '2\n', y: '1' },
      {
        x: '3\n',
        y: '1',
      },
    );
    const other = history.write({ x: '1\n', y: '2' }, [history.versions.get(baseOf(heads[0]!))!], {
      by: 3,
    });
    const later = history.merge(merge, other);
    expect(history.objects.show(taken(history, later)!.root)).toEqual({ x: '2\n', y: '2' });
  });

  it('is refused where there is no conflict', () => {
    const { history, merge } = conflicted('1\n', '2\n', '3\n');
    expect(() => taken(history, merge, ['else'])).toThrow('has no conflict at "else"');
  });
});

const baseOf = ({ version }: SignedVersion): string => version.parents[0]!.toString();
