import { expect, test } from 'vitest';
import { endpointText, parseEndpoint } from '../../../src/core/tor/endpoint.ts';

test.each([
  ['127.0.0.1:9051', { host: '127.0.0.1', port: 9051 }],
  ['[::1]:9051', { host: '::1', port: 9051 }],
  ['unix:/run/tor/control', { path: '/run/tor/control' }],
])('%s', (text, endpoint) => {
  expect(parseEndpoint(text)).toEqual(endpoint);
  expect(endpointText(endpoint)).toBe(text);
});

test('localhost is not resolved', () => {
  expect(parseEndpoint('localhost:9051')).toEqual({ host: '127.0.0.1', port: 9051 });
});

test.each([
  ...[
    'tor:9051',
    'tor.example:9051',
    '1.2.3:9051',
    '[1.2.3.4]:9051',
    '',
    '9051',
    'host',
    'host:0',
    'host:65536',
    'host:1x',
    '::1:9051',
    '[::1]',
    'unix:relative',
  ],
  ...['unix:', `unix:/${'x'.repeat(107)}`, 'unix:/a\0b', 'a b:1', 'tcp://127.0.0.1:9051'],
])('%j is no place of Tor', (text) => {
  expect(() => parseEndpoint(text)).toThrow(expect.objectContaining({ code: 'BAD_CONFIG' }));
});
