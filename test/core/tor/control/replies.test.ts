import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hasCode } from '../../../../src/core/errors.ts';
import {
  type ControlEvent,
  type ControlReply,
  ReplyReader,
} from '../../../../src/core/tor/control/replies.ts';

function read(lines: readonly string[], maxBytes?: number) {
  const replies: ControlReply[] = [];
  const events: ControlEvent[] = [];
  const on = {
    reply: (r: ControlReply) => replies.push(r),
    event: (e: ControlEvent) => events.push(e),
  };
  const reader = new ReplyReader(on, maxBytes);
  for (const line of lines) reader.line(line);
  return { replies, events };
}

test('a reply has its lines and its data', () => {
  const { replies } = read(['250-a=1', '250+b=', '..dot', '', 'end', '.', '250 OK', '552 no']);
  expect(replies).toEqual([
    {
      lines: [
        { code: 250, text: 'a=1' },
        { code: 250, text: 'b=', data: '.dot\n\nend' },
        { code: 250, text: 'OK' },
      ],
    },
    { lines: [{ code: 552, text: 'no' }] },
  ]);
});

test('events come between the lines of a reply, and replies between those of an event', () => {
  const { replies, events } = read([
    ...['250-a=1', '650-HS_DESC one two', '250-b=2', '650+more', 'x', '.', '250 OK', '650 OK'],
    '650 CIRC 1 BUILT',
  ]);
  expect(replies.map(({ lines }) => lines.map(({ text }) => text))).toEqual([['a=1', 'b=2', 'OK']]);
  expect(events.map(({ type, text }) => [type, text])).toEqual([
    ['HS_DESC', 'one two'],
    ['CIRC', '1 BUILT'],
  ]);
  expect(events[0]!.lines[1]).toEqual({ code: 650, text: 'more', data: 'x' });
});

test('events anywhere but in data change no reply', () => {
  const reply = ['250-a=1', '250-b=2', '250+c=', '650 data', '.', '250 OK'];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 1, 2, 5, 6), { maxLength: 8 }), (places) => {
      const lines = reply.flatMap((line, i) => [
        ...places.filter((place) => place === i).map((place) => `650 BW ${place}`),
        line,
      ]);
      const { replies, events } = read(lines);
      expect(replies).toEqual(read(reply).replies);
      expect(events).toHaveLength(places.filter((place) => place < 6).length);
    }),
  );
});

test('what is no line of the protocol is refused, whatever it is', () => {
  for (const line of ['', 'HTTP/1.0 501', '25', '250', '250_x', '150 x', '750 x', '.']) {
    expect(() => read([line]), line).toThrow('no status');
  }
  const hostile = fc.oneof(
    fc.string(),
    fc.tuple(fc.constantFrom('250-', '250+', '250 ', '650-', '650+', '650 ', '.'), fc.string()),
  );
  fc.assert(
    fc.property(fc.array(hostile, { maxLength: 30 }), (lines) => {
      try {
        read(
          lines.map((line) => (typeof line === 'string' ? line : line.join(''))),
          200,
        );
      } catch (error) {
        expect(hasCode(error, 'BAD_ENCODING', 'TOO_LARGE')).toBe(true);
      }
    }),
  );
});

test.each(['250-x', '650-x', ''])('an answer without end is not kept: %s', (line) => {
  const lines = line === '' ? ['250+x', ...Array.from({ length: 100 }, () => '')] : [];
  const endless = [...lines, ...Array.from({ length: 100 }, () => line)];
  expect(() => read(endless, 1000)).toThrow('more than 1000 bytes');
});
