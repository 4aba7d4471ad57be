import { readFileSync, statSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Client } from '../../../../src/core/api/client/client.ts';
import { scopeOf } from '../../../../src/core/api/server/tokens.ts';
import { harness } from '../harness.ts';
import { chunks } from '../memory-backend.ts';
import { ask, errorOf, head } from '../wire.ts';

it('writes two new tokens at each start, for its user only', async () => {
  const seen = new Set<string>();
  for (let start = 0; start < 2; start += 1) {
    await using h = await harness();
    for (const path of [h.paths.readToken, h.paths.adminToken]) {
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(readFileSync(path, 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
      seen.add(readFileSync(path, 'utf8'));
    }
    expect(statSync(h.paths.socket).mode & 0o777).toBe(0o600);
  }
  expect(seen.size).toBe(4);
});

it('gives each token its scope and no other text any', () => {
  const tokens = { read: 'a'.repeat(64), admin: 'b'.repeat(64) };
  expect(scopeOf(`Bearer ${tokens.read}`, tokens)).toBe('read');
  expect(scopeOf(`bearer ${tokens.admin}`, tokens)).toBe('admin');
  const others = [undefined, '', 'Bearer', `Basic ${tokens.read}`, `Bearer ${'a'.repeat(63)}`];
  for (const other of [...others, `Bearer ${tokens.read} `, `Bearer ${'a'.repeat(300)}`]) {
    expect(scopeOf(other, tokens), other).toBeUndefined();
  }
});

it('refuses a stranger before it tells which endpoints exist', async () => {
  await using h = await harness();
  for (const path of ['/v1/node', '/nothing']) {
    const reply = await ask(h.paths.socket, head(`GET ${path}`));
    expect(reply.status).toBe(401);
    expect(reply.headers.get('www-authenticate')).toBe('Bearer');
    expect(errorOf(reply).code).toBe('DENIED');
  }
  const wrong = new Client({ socket: h.paths.socket, token: 'c'.repeat(64) });
  await expect(wrong.call('node.status')).rejects.toMatchObject({ code: 'DENIED', exit: 77 });
});

it('lets the read token read and nothing else', async () => {
  await using h = await harness();
  await h.reader.call('node.status');
  await expect(h.reader.call('node.stop')).rejects.toMatchObject({ code: 'DENIED' });
  const put = h.reader.put({ path: 'a' }, { kind: 'file', bytes: chunks(Buffer.from('x')) });
  await expect(put).rejects.toMatchObject({ code: 'DENIED' });
  expect(h.backend.stopped).toBe(0);
  expect(h.backend.stored.size).toBe(0);
});

it('answers on a TCP port only under its own names, and no browser', async () => {
  await using h = await harness({ tcp: true });
  const port = h.server.port ?? 0;
  const get = async (headers: Record<string, string>): Promise<number> => {
    const authorization = `Bearer ${h.readToken}`;
    const reply = await ask({ port }, head('GET /v1/node', { authorization, ...headers }));
    return reply.status;
  };
  expect(await get({ Host: `127.0.0.1:${port}` })).toBe(200);
  expect(await get({ Host: `LOCALHOST:${port}` })).toBe(200);
  expect(await get({ Host: `[::1]:${port}` })).toBe(200);
  expect(await get({ Host: 'evil.example' })).toBe(403);
  expect(await get({ Host: `evil.example:${port}` })).toBe(403);
  expect(await get({ Host: '127.0.0.1' })).toBe(403);
  expect(await get({ Host: `localhost:${port}`, Origin: 'http://localhost' })).toBe(403);
  const client = new Client({ host: '127.0.0.1', port, token: h.readToken });
  expect(await client.call('node.status')).toMatchObject({ state: 'ready' });
});

it('names what it does not serve', async () => {
  await using h = await harness();
  const authorization = `Bearer ${h.adminToken}`;
  const missing = await ask(h.paths.socket, head('GET /v2/node', { authorization }));
  expect([missing.status, errorOf(missing).code]).toEqual([404, 'NOT_FOUND']);
  const method = await ask(h.paths.socket, head('DELETE /v1/node', { authorization }));
  expect([method.status, method.headers.get('allow')]).toEqual([405, 'GET']);
  const expectation = { authorization, Expect: 'miracle' };
  expect((await ask(h.paths.socket, head('GET /v1/node', expectation))).status).toBe(417);
});
