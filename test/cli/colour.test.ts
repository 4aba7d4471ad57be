import { expect, test } from 'vitest';
import { coloursFor, wantsColour } from '../../src/cli/colour.ts';

const tty = { isTTY: true };
const pipe = {};

test.each([
  [tty, {}, true],
  [pipe, {}, false],
  [tty, { TERM: 'dumb' }, false],
  [tty, { NO_COLOR: '1' }, false],
  [tty, { NO_COLOR: '' }, true],
  [tty, { NO_COLOR: '1', FORCE_COLOR: '1' }, false],
  [pipe, { FORCE_COLOR: '1' }, true],
  [pipe, { FORCE_COLOR: '0' }, false],
  [tty, { FORCE_COLOR: '0' }, false],
  [pipe, { CLICOLOR_FORCE: '1' }, true],
])('stream %o with %o: %s', (stream, env, wanted) => {
  expect(wantsColour(stream, env)).toBe(wanted);
});

test('a painter that is off paints nothing', () => {
  expect(coloursFor(tty, { off: true, env: {} }).red('x')).toBe('x');
  expect(coloursFor(tty, { env: {} }).red('x')).toBe('\u001b[31mx\u001b[0m');
});
