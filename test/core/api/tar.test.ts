import * as fc from 'fast-check';
import { pack } from 'tar-stream';
import { expect, it } from 'vitest';
import type { TreeEntry } from '../../../src/core/api/backend.ts';
import { checkTreePath, packTar, unpackTar } from '../../../src/core/api/tar.ts';
import { AegisError, isAegisError } from '../../../src/core/errors.ts';
import { chunks, collect, iterate } from './memory-backend.ts';

interface Plain {
  path: string;
  kind: 'file' | 'directory';
  bytes: Buffer;
}

const entryOf = ({ path, kind, bytes }: Plain): TreeEntry => ({
  path,
  kind,
  sizeBytes: bytes.length,
  bytes: chunks(bytes, 1000),
});
const packAll = (tree: readonly Plain[]): Promise<Buffer> =>
  collect(packTar(iterate(tree.map(entryOf))));

async function unpackAll(bytes: Uint8Array, size?: number, limits = {}): Promise<Plain[]> {
  const tree: Plain[] = [];
  for await (const entry of unpackTar(chunks(bytes, size), limits)) {
    tree.push({ path: entry.path, kind: entry.kind, bytes: await collect(entry.bytes) });
  }
  return tree;
}

const name = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 150 })
  .filter(
    (text) => !/[/\0\uFFFD]/.test(text) && text !== '.' && text !== '..' && text.isWellFormed(),
  );
const tree = fc
  .uniqueArray(
    fc.record({
      path: fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
      kind: fc.constantFrom('file' as const, 'directory' as const),
      bytes: fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
    }),
    { selector: ({ path }) => path, maxLength: 8 },
  )
  .map((all) =>
    all
      .filter(({ path }) => Buffer.byteLength(path) <= 1024)
      .map((each) => (each.kind === 'file' ? each : { ...each, bytes: Buffer.alloc(0) })),
  );

it('gives back every tree, however its bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(tree, fc.integer({ min: 1, max: 5000 }), async (plain, size) => {
      expect(await unpackAll(await packAll(plain), size)).toEqual(plain);
    }),
    { numRuns: 60 },
  );
});

it('packs the same tree into the same bytes', async () => {
  const plain: Plain[] = [{ path: 'a/b', kind: 'file', bytes: Buffer.from('x') }];
  expect(await packAll(plain)).toEqual(await packAll(plain));
});

it('goes on when a taker leaves entries unread', async () => {
  const plain: Plain[] = ['a', 'b', 'c'].map((path) => ({
    path,
    kind: 'file',
    bytes: Buffer.alloc(100_000, path),
  }));
  const paths: string[] = [];
  for await (const entry of unpackTar(chunks(await packAll(plain)))) {
    paths.push(entry.path);
    for await (const _ of entry.bytes) break;
  }
  expect(paths).toEqual(['a', 'b', 'c']);
});

it.each(['/etc/passwd', '../x', 'a/../../x', 'a//b', './x/.', '..', '', 'a\0b', 'a/./b'])(
  'refuses the name %j',
  (path) => {
    expect(() => checkTreePath(path)).toThrow(expect.objectContaining({ code: 'BAD_DATA' }));
  },
);

it('refuses names that are too long, and takes the longest', () => {
  expect(checkTreePath(`${'x'.repeat(1024)}/`)).toHaveLength(1024);
  expect(() => checkTreePath('x'.repeat(1025))).toThrow('too long');
});

async function tarOf(...headers: { name: string; type?: 'symlink' | 'fifo'; size?: number }[]) {
  const archive = pack({});
  for (const { name: path, type, size } of headers) {
    if (type === undefined) archive.entry({ name: path }, Buffer.alloc(size ?? 0));
    else archive.entry({ name: path, type, linkname: '/etc/passwd' }).end(null);
  }
  archive.finalize();
  return await collect(archive as AsyncIterable<Uint8Array>);
}

it('refuses archives that lead out of their tree', async () => {
  for (const path of ['../evil', '/evil', 'a/../../evil']) {
    await expect(unpackAll(await tarOf({ name: path }))).rejects.toMatchObject({
      code: 'BAD_DATA',
    });
  }
});

it('refuses links and fifos', async () => {
  for (const type of ['symlink', 'fifo'] as const) {
    const call = unpackAll(await tarOf({ name: 'x', type }));
    await expect(call).rejects.toMatchObject({ code: 'UNSUPPORTED_FILE', exit: 65 });
  }
});

it('refuses a name that comes twice, and too many', async () => {
  const twice = await tarOf({ name: 'x' }, { name: './x' });
  await expect(unpackAll(twice)).rejects.toThrow('comes twice');
  const many = await tarOf({ name: 'x' }, { name: 'y' });
  await expect(unpackAll(many, 512, { entriesMax: 1 })).rejects.toMatchObject({
    code: 'TOO_LARGE',
  });
});

it('refuses an archive that was cut anywhere', async () => {
  const bytes = await packAll([
    { path: 'a', kind: 'file', bytes: Buffer.alloc(700) },
    { path: 'b', kind: 'file', bytes: Buffer.alloc(10) },
  ]);
  for (const end of [1, 511, 512, 513, 1000, 1536, 2048, 2560, 3072]) {
    await expect(unpackAll(bytes.subarray(0, end)), String(end)).rejects.toMatchObject({
      code: 'BAD_DATA',
    });
  }
});

it('passes on what its source throws', async () => {
  const error = new AegisError('STALLED', 'silence');
  async function* source() {
    yield await packAll([{ path: 'a', kind: 'file', bytes: Buffer.alloc(5000) }]).then((all) =>
      all.subarray(0, 1000),
    );
    throw error;
  }
  const call = (async () => {
    for await (const entry of unpackTar(source())) await collect(entry.bytes);
  })();
  await expect(call).rejects.toBe(error);
});

it('refuses to pack a file that changes its size', async () => {
  for (const sizeBytes of [9, 11]) {
    const entry = { path: 'a', kind: 'file' as const, sizeBytes, bytes: chunks(Buffer.alloc(10)) };
    await expect(collect(packTar(iterate([entry])))).rejects.toMatchObject({ code: 'UNREADABLE' });
  }
});

it('throws nothing but AegisError, whatever comes', async () => {
  const valid = await packAll([
    { path: 'a'.repeat(200), kind: 'file', bytes: Buffer.from('hello') },
    { path: 'd', kind: 'directory', bytes: Buffer.alloc(0) },
    { path: 'ü/b', kind: 'file', bytes: Buffer.alloc(2000) },
  ]);
  const changes = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), {
    minLength: 1,
    maxLength: 8,
  });
  const mutated = changes.map((all) => {
    const bytes = Buffer.from(valid);
    for (const [at, value] of all) bytes[at] = value;
    return bytes;
  });
  const noise = fc.uint8Array({ maxLength: 3000 });
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(mutated, noise),
      fc.integer({ min: 1, max: 3000 }),
      async (bytes, size) => {
        try {
          await unpackAll(bytes, size);
        } catch (error) {
          expect(isAegisError(error), String(error)).toBe(true);
        }
      },
    ),
    { numRuns: 150 },
  );
});
