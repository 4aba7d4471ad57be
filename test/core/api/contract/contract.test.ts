/** What the contract promises about itself. */
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as v from 'valibot';
import { expect, it } from 'vitest';
import { openApi, openApiText, outputSchemas } from '../../../../scripts/openapi.ts';
import { ENDPOINTS } from '../../../../src/core/api/contract/endpoints.ts';
import { errorSchema } from '../../../../src/core/api/contract/errors.ts';
import { eventSchema } from '../../../../src/core/api/contract/events.ts';
import { ROUTES } from '../../../../src/core/api/contract/routes.ts';
import { AegisError, ERRORS, type ErrorCode } from '../../../../src/core/errors.ts';
import { MemoryBackend } from '../memory-backend.ts';

it('declares every route once, under its own name', () => {
  expect(Object.keys(ENDPOINTS).toSorted()).toEqual(Object.keys(ROUTES).toSorted());
  for (const [name, endpoint] of Object.entries(ENDPOINTS)) {
    expect(endpoint.name).toBe(name);
    expect(endpoint.route.path).toMatch(/^\/v1\//);
    expect(endpoint.reply.entries.schema.literal).toBe(`aegis.${name}/1`);
  }
  const lines = Object.values(ROUTES).map(({ method, path }) => `${method} ${path}`);
  expect(new Set(lines).size).toBe(lines.length);
});

it('keeps what changes something behind the admin scope', () => {
  const readOnly = Object.entries(ROUTES).filter(([, route]) => route.scope === 'read');
  const changing = readOnly.filter(([, route]) => route.method !== 'GET').map(([name]) => name);
  // These two ask another node something, and change nothing.
  expect(changing).toEqual(['peers.ping', 'peers.audit']);
});

it('fits every error of the table', () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const reply = { schema: 'aegis.error/1', error: new AegisError(code, 'why').toBody() };
    expect(v.is(errorSchema, reply), code).toBe(true);
  }
});

it('gives a JSON Schema for all output, which accepts real output and refuses other', async () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const schemas = await outputSchemas('.');
  expect([...schemas.keys()]).toContain('aegis.keys.list/1');
  for (const schema of schemas.values()) ajv.compile(schema);
  const status = ajv.compile(schemas.get('aegis.node.status/1') ?? false);
  const reply = { schema: 'aegis.node.status/1', ...(await new MemoryBackend().status()) };
  expect(status(reply)).toBe(true);
  expect(status({ ...reply, pid: -1 })).toBe(false);
  expect(status({ ...reply, more: 'is fine within /1' })).toBe(true);
});

it('describes events that a snapshot really is', async () => {
  const backend = new MemoryBackend();
  const snapshot = { type: 'snapshot', schema: 'aegis.events/1', ...(await backend.snapshot()) };
  expect(v.is(eventSchema, snapshot)).toBe(true);
  expect(v.is(eventSchema, { type: 'end', reason: 'boredom' })).toBe(false);
});

it('has a document of every endpoint, checked in and fresh', () => {
  const document = openApi('.') as { paths: Record<string, Record<string, unknown>> };
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const routes = Object.values(ROUTES).map(
    ({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`,
  );
  expect(operations.toSorted()).toEqual(routes.toSorted());
  expect(readFileSync('docs/openapi.json', 'utf8')).toBe(openApiText('.'));
});
