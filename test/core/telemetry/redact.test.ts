import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { REDACTED, redactFields, redactText } from '../../../src/core/telemetry/redact.ts';

const TOKEN = '0123456789abcdef'.repeat(4);

it('replaces values under names of secrets, however deep', () => {
  const fields = {
    passphrase: 'x',
    apiToken: 'x',
    nested: { list: [{ privateKey: 'x', name: 'kept' }], Authorization: 'Bearer x' },
    networkSeed: new Uint8Array(32),
  };
  expect(redactFields(fields)).toEqual({
    passphrase: REDACTED,
    apiToken: REDACTED,
    nested: { list: [{ privateKey: REDACTED, name: 'kept' }], Authorization: REDACTED },
    networkSeed: REDACTED,
  });
});

it('replaces texts that look like secrets', () => {
  const pem = '-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----';
  expect(redactText(`token ${TOKEN} end`)).toBe(`token ${REDACTED} end`);
  expect(redactText('authorization: Bearer abc.def')).toBe(`authorization: ${REDACTED}`);
  expect(redactText(`a ${pem} b`)).toBe(`a ${REDACTED} b`);
  expect(redactText(pem.slice(0, 40))).toBe(REDACTED);
});

it('never shows bytes, and puts into words what JSON cannot hold', () => {
  const cause = new Error(`inner ${TOKEN}`);
  const error = new Error('outer', { cause });
  const safe = redactFields({
    bytes: new Uint8Array([1, 2, 3]),
    big: 10n,
    nan: Number.NaN,
    call: () => 1,
    absent: undefined,
    at: new Date(0),
    error,
  });
  expect(safe).toMatchObject({
    bytes: '[3 bytes]',
    big: '10',
    nan: 'NaN',
    call: '[function]',
    at: '1970-01-01T00:00:00.000Z',
    error: { message: 'outer', cause: { message: `inner ${REDACTED}` } },
  });
  expect(safe).not.toHaveProperty('absent');
});

it('cuts what is long, deep or circular', () => {
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  const fields = {
    text: 'x '.repeat(5000),
    list: Array.from({ length: 1000 }, (_, at) => at),
    circle,
  };
  const safe = redactFields(fields);
  expect((safe['text'] as string).length).toBe(4097);
  expect(safe['list']).toHaveLength(50);
  expect(JSON.stringify(safe['circle'])).toContain('[deep]');
});

it('survives getters that throw', () => {
  const fields = {
    get broken(): never {
      throw new Error('no');
    },
  };
  expect(redactFields(fields)).toEqual({ broken: '[unreadable]' });
});

it('gives JSON for anything and never a token', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.anything()), fc.string(), (fields, around) => {
      const text = JSON.stringify(
        redactFields({ ...fields, around: `${around} ${TOKEN} ${around}` }),
      );
      expect(text).not.toContain(TOKEN);
    }),
  );
});
