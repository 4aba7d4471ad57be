import { expect, test } from 'vitest';
import { changesOf, parseLifetime } from '../../src/cli/proposed.ts';

test('flags are changes, in a fixed order', () => {
  expect(
    changesOf({
      remove: ['bob'],
      add: ['carol', 'dave'],
      zone: ['bob=attic'],
      weight: ['bob=7'],
      parameter: ['openWrites=0'],
      quota: ['erin=changes:5,paths:default'],
      namespace: ['a=b/c=bob,carol'],
      protocol: 2,
    }),
  ).toEqual([
    { op: 'add', nodeId: 'carol' },
    { op: 'add', nodeId: 'dave' },
    { op: 'remove', nodeId: 'bob' },
    { op: 'zone', nodeId: 'bob', zone: 'attic' },
    { op: 'weight', nodeId: 'bob', storageWeight: 7 },
    { op: 'parameter', name: 'openWrites', value: 0 },
    { op: 'quota', nodeId: 'erin', changesPerHour: 5 },
    { op: 'namespace', path: 'a=b/c', owners: ['bob', 'carol'] },
    { op: 'protocol', version: 2 },
  ]);
  expect(changesOf({})).toEqual([]);
});

test('what is not of the form of a flag is refused by its name', () => {
  const wrong = [
    { zone: ['bob'] },
    { zone: ['=attic'] },
    { weight: ['bob=-1'] },
    { parameter: ['openWrites=yes'] },
    { quota: ['erin=cups:1'] },
    { quota: ['erin=changes'] },
    { namespace: ['notes='] },
  ];
  for (const flags of wrong) {
    const [flag] = Object.keys(flags);
    expect(() => changesOf(flags), flag).toThrow(`--${flag}`);
  }
});

test('lifetimes may be days', () => {
  expect(parseLifetime('7d')).toBe(7 * 24 * 3_600_000);
  expect(parseLifetime('30m')).toBe(30 * 60_000);
  expect(() => parseLifetime('soon')).toThrow('not a length of time');
});
