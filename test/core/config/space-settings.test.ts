import { expect, test } from 'vitest';
import { checkSetting } from '../../../src/core/config/settings-schema.ts';
import {
  DEFAULT_SPACE,
  limitsOf,
  parseRoom,
  parseSpan,
  retentionOf,
} from '../../../src/core/config/space-settings.ts';
import { DAY, GIB, HOUR, MIB } from '../../../src/core/units.ts';

test('room is a share or a size', () => {
  expect(parseRoom('80%')).toEqual({ share: 0.8 });
  expect(parseRoom('500GiB')).toEqual({ bytes: 500 * GIB });
  expect(parseRoom('2TiB')).toEqual({ bytes: 2048 * GIB });
  for (const text of ['101%', '-1%', '5', '5GB', '1.5GiB', ' 5GiB', '']) {
    expect(parseRoom(text), text).toBeUndefined();
  }
});

test('a span has a unit', () => {
  expect(parseSpan('30d')).toBe(30 * DAY);
  expect(parseSpan('12h')).toBe(12 * HOUR);
  expect(parseSpan('1y')).toBe(365 * DAY);
  for (const text of ['30', 'd', '1.5d', '-3d', '3w'])
    expect(parseSpan(text), text).toBeUndefined();
});

test('limits are bytes of the disk; the reserve is never more than a twentieth by default', () => {
  expect(limitsOf(DEFAULT_SPACE, 100 * GIB)).toEqual({
    quotaBytes: 80 * GIB,
    reserveBytes: GIB,
  });
  expect(limitsOf(DEFAULT_SPACE, 200 * MIB).reserveBytes).toBe(10 * MIB);
  expect(limitsOf({ 'kb.quota': '64MiB', 'kb.reserve': '2%' }, 100 * GIB)).toEqual({
    quotaBytes: 64 * MIB,
    reserveBytes: 2 * GIB,
  });
});

test('retention is nothing, one or both', () => {
  expect(retentionOf(DEFAULT_SPACE)).toEqual({ keepLast: undefined, keepForMs: undefined });
  expect(retentionOf({ 'kb.keepLast': 0, 'kb.keepFor': '1d' })).toEqual({
    keepLast: 0,
    keepForMs: DAY,
  });
});

test('what makes no sense is refused with what is expected', () => {
  expect(() => checkSetting('kb.quota', 'much', 'test')).toThrow('expected a share such as 80%');
  expect(() => checkSetting('kb.keepFor', '3 weeks', 'test')).toThrow('expected a span of time');
  expect(checkSetting('kb.reserve', '5GiB', 'test')).toBe('5GiB');
});
