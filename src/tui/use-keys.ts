/**
 * Keys one at a time. Ink gives what was typed fast, pasted or sent by a script as one string
 * ("slow\r"), in which Enter is no longer a key; this takes the string apart again.
 */
import { type Key as InkKey, useInput, useStdin } from 'ink';
import type { Key } from './keys.ts';

/** Longer runs are a paste by mistake; what is beyond is not looked at. */
const RUN_LENGTH_MAX = 256;

const NAMES: readonly (readonly [keyof InkKey, Key])[] = [
  ['upArrow', 'up'],
  ['downArrow', 'down'],
  ['leftArrow', 'left'],
  ['rightArrow', 'right'],
  ['pageUp', 'pageup'],
  ['pageDown', 'pagedown'],
  ['home', 'home'],
  ['end', 'end'],
  ['return', 'enter'],
  ['escape', 'escape'],
  ['backspace', 'backspace'],
  ['delete', 'backspace'],
];

const CONTROLS: Readonly<Record<string, Key>> = {
  '\r': 'enter',
  '\n': 'enter',
  '\r\n': 'enter',
  '\t': 'tab',
  '\u001b': 'escape',
  '\u007f': 'backspace',
  '\b': 'backspace',
  '\u0003': 'ctrl-c',
};

/** The keys in what Ink delivered at once. */
export function keysOf(input: string, key: InkKey): Key[] {
  if (key.ctrl) return input === 'c' ? ['ctrl-c'] : [];
  if (key.tab) return [key.shift ? 'shift-tab' : 'tab'];
  const named = NAMES.find(([flag]) => key[flag] === true);
  if (named !== undefined) return [named[1]];
  if (input === '' || key.meta) return [];
  if (input.length === 1) return [CONTROLS[input] ?? input];
  // Made only here: the first use of Intl costs milliseconds that most sessions never need.
  const segments = new Intl.Segmenter().segment(input.slice(0, RUN_LENGTH_MAX));
  return Array.from(segments, ({ segment }) => CONTROLS[segment] ?? segment);
}

/** Calls back for each key, if the input is a terminal at all. */
export function useKeys(on: (key: Key) => void): void {
  const { isRawModeSupported } = useStdin();
  useInput(
    (input, key) => {
      for (const one of keysOf(input, key)) on(one);
    },
    { isActive: isRawModeSupported },
  );
}
