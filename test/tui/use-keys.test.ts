import type { Key as InkKey } from 'ink';
import { describe, expect, test } from 'vitest';
import { keysOf } from '../../src/tui/use-keys.ts';

const NO_KEY = {
  upArrow: false,
  downArrow: false,
  leftArrow: false,
  rightArrow: false,
  pageDown: false,
  pageUp: false,
  home: false,
  end: false,
  return: false,
  escape: false,
  ctrl: false,
  shift: false,
  tab: false,
  backspace: false,
  delete: false,
  meta: false,
  super: false,
  hyper: false,
  capsLock: false,
  numLock: false,
} satisfies InkKey;

const keys = (input: string, change: Partial<InkKey> = {}): string[] =>
  keysOf(input, { ...NO_KEY, ...change });

describe('keys', () => {
  test('a run that was typed fast comes apart, Enter and Esc included', () => {
    expect(keys('/slow\r')).toEqual(['/', 's', 'l', 'o', 'w', 'enter']);
    expect(keys('ab\r\nc\u007f\t\u001b\u0003')).toEqual([
      'a',
      'b',
      'enter',
      'c',
      'backspace',
      'tab',
      'escape',
      'ctrl-c',
    ]);
  });

  test('a character of several code units is one key', () => {
    expect(keys('山🚀e\u0301')).toEqual(['山', '🚀', 'e\u0301']);
  });

  test('keys that type nothing have names', () => {
    expect(keys('', { upArrow: true })).toEqual(['up']);
    expect(keys('\r', { return: true })).toEqual(['enter']);
    expect(keys('\t', { tab: true })).toEqual(['tab']);
    expect(keys('\t', { tab: true, shift: true })).toEqual(['shift-tab']);
    expect(keys('', { delete: true })).toEqual(['backspace']);
    expect(keys('G', { shift: true })).toEqual(['G']);
    expect(keys(' ')).toEqual([' ']);
  });

  test('Ctrl-C quits, other control and meta keys do nothing', () => {
    expect(keys('c', { ctrl: true })).toEqual(['ctrl-c']);
    expect(keys('q', { ctrl: true })).toEqual([]);
    expect(keys('q', { meta: true })).toEqual([]);
    expect(keys('')).toEqual([]);
  });

  test('a paste by mistake is bounded', () => {
    expect(keys('q'.repeat(100_000)).length).toBe(256);
  });
});
