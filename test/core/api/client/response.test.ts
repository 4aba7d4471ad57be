import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Response, ResponseReader } from '../../../../src/core/api/client/response.ts';
import { isAegisError } from '../../../../src/core/errors.ts';

/** Feeds `text` cut at the given places; `end` closes the connection after it. */
function read(text: string, cuts: readonly number[] = [], end = true, limits = {}): Response {
  const bytes = Buffer.from(text, 'latin1');
  const reader = new ResponseReader(limits);
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted(
    (a, b) => a - b,
  );
  for (const [index, place] of places.entries()) {
    reader.push(bytes.subarray(place, places[index + 1] ?? place));
  }
  if (end) reader.end();
  expect(reader.done).toBe(true);
  return reader.response();
}

const CHUNKED =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n' +
  '5\r\nhello\r\n7;name="x"\r\n, world\r\n0\r\nTrailer: 1\r\n\r\n';
const SIZED = 'HTTP/1.1 404 Not Found\r\nX-A: 1\r\nx-a:  2 \r\nContent-Length: 5\r\n\r\nhello';
const CLOSED = 'HTTP/1.0 200\r\n\r\nhello';

it.each([
  ['a length', SIZED, 'hello'],
  ['chunks', CHUNKED, 'hello, world'],
  ['the end of the connection', CLOSED, 'hello'],
  ['no body', 'HTTP/1.1 204 No Content\r\n\r\n', ''],
  ['a length of nothing', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', ''],
  ['replies that come before', `HTTP/1.1 100 Continue\r\n\r\n${SIZED}`, 'hello'],
  ['bytes after it, which are ignored', `${SIZED}more`, 'hello'],
])('reads a body that ends by %s, however it is cut', (_, text, body) => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 20 }), (cuts) => {
      expect(read(text, cuts).body.toString()).toBe(body);
    }),
  );
});

it('gives status and headers, names in lower case, the last of each', () => {
  const { status, headers } = read(SIZED);
  expect(status).toBe(404);
  expect(headers.get('x-a')).toBe('2');
});

it.each([
  ['not HTTP', 'SSH-2.0-OpenSSH\r\n'],
  ['HTTP/2', 'HTTP/2 200\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a header without a colon', 'HTTP/1.1 200 OK\r\nnothing\r\n\r\n'],
  ['a folded header', 'HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n'],
  ['a space before the colon', 'HTTP/1.1 200 OK\r\na : b\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
  ['a negative length', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'],
  [
    'a length and chunks',
    'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
  ],
  ['gzip', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n'],
  ['a chunk size that is none', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'],
  [
    'a chunk longer than it said',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n',
  ],
  [
    'an endless chunk line',
    `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;${'x'.repeat(300)}`,
  ],
  ['a switch of protocols', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['endless interim replies', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(20)],
])('refuses %s', (_, text) => {
  expect(() => read(text, [], false)).toThrow(expect.objectContaining({ code: 'BAD_ENCODING' }));
});

it.each([
  ['endless headers', `HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(100)}`],
  ['a length beyond the limit', 'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n'],
  ['chunks beyond the limit', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e8\r\n'],
  ['a body without an end', `HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(1000)}`],
])('allocates nothing for %s', (_, text) => {
  const limits = { headBytesMax: 200, bodyBytesMax: 100 };
  expect(() => read(text, [], false, limits)).toThrow(
    expect.objectContaining({ code: 'TOO_LARGE' }),
  );
});

it('tells a reply that was cut from one that never came', () => {
  expect(() => read(SIZED.slice(0, -1))).toThrow(expect.objectContaining({ code: 'STALLED' }));
  expect(() => read(CHUNKED.slice(0, -4))).toThrow(expect.objectContaining({ code: 'STALLED' }));
  expect(() => read('')).toThrow(expect.objectContaining({ code: 'DAEMON_UNREACHABLE' }));
});

it('throws nothing but AegisError, whatever comes', () => {
  const valid = fc.constantFrom(SIZED, CHUNKED, CLOSED);
  const mutated = fc
    .tuple(valid, fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { minLength: 1, maxLength: 6 }))
    .map(([text, changes]) => {
      const bytes = Buffer.from(text, 'latin1');
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return bytes;
    });
  fc.assert(
    fc.property(
      fc.oneof(mutated, fc.uint8Array({ maxLength: 400 })),
      fc.boolean(),
      (bytes, slow) => {
        const reader = new ResponseReader({ headBytesMax: 256, bodyBytesMax: 256 });
        try {
          for (const piece of slow ? bytes : [bytes]) {
            reader.push(typeof piece === 'number' ? Uint8Array.of(piece) : piece);
          }
          reader.end();
          expect(reader.response().body.length).toBeLessThanOrEqual(256);
        } catch (error) {
          expect(isAegisError(error), String(error)).toBe(true);
        }
      },
    ),
    { numRuns: 500 },
  );
});
