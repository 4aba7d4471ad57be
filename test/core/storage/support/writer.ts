/**
 * A process of its own that writes to both stores and says what is acknowledged, a line each:
 * `ready`, `chain KEY`, `content CID`, `refused CODE`. Run as `node writer.ts DIR MODE`.
 *
 * - `endless` writes until it is killed.
 * - `fill` writes until the disk refuses, makes room when told `free` on stdin, and writes again.
 * - `one` writes one object.
 * - `collect` writes objects, says which it keeps (`kept NAME`: the bytes are the name), and
 *   collects the others (`swept N` after each step).
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { AegisError } from '../../../../src/core/errors.ts';
import type { Log } from '../../../../src/core/ports.ts';
import { ChainStore } from '../../../../src/core/storage/chain-store.ts';
import { ContentStore } from '../../../../src/core/storage/content-store.ts';

const [dir = '', mode = ''] = process.argv.slice(2);
const log: Log = { write: () => undefined, child: () => log };
// Synchronously: what was said before a kill has been said.
const say = (line: string): void => void writeSync(1, `${line}\n`);

const ballast = join(dir, 'ballast');
if (mode === 'fill') writeFileSync(ballast, randomBytes(2 ** 20));
const chain = await ChainStore.open(join(dir, 'chain.db'), { log });
const content = await ContentStore.open(join(dir, 'content.db'), { log });
say('ready');

async function writeChain(name: string): Promise<void> {
  const keys = [`${name}a`, `${name}b`];
  const value = createHash('sha256').update(name).digest();
  await chain.commit(keys.map((key) => ({ table: 'facts', key, value })));
  for (const key of keys) say(`chain ${key}`);
}

async function writeContent(): Promise<void> {
  const chunks = [1, 2, 3].map(() => new Uint8Array(randomBytes(50_000)));
  for (const cid of await content.addLeaves(chunks, 'blake3')) say(`content ${cid.toString()}`);
}

async function untilRefused(write: (round: number) => Promise<void>): Promise<void> {
  for (let round = 0; ; round += 1) {
    try {
      await write(round);
    } catch (error) {
      say(`refused ${error instanceof AegisError ? error.code : String(error)}`);
      return;
    }
  }
}

async function collect(): Promise<void> {
  const names = Array.from({ length: 2400 }, () => randomBytes(8).toString('hex'));
  const cids = await content.addLeaves(
    names.map((name) => new Uint8Array(Buffer.from(name))),
    'blake3',
  );
  const collection = await content.collect();
  const kept = (_: unknown, n: number): boolean => n % 2 === 0;
  await collection.keep(cids.filter(kept), true);
  while ((await collection.follow()).left > 0);
  const lines = names.filter(kept).map((name) => `kept ${name}`);
  say(lines.join('\n'));
  for (let n = 1; n < 100; n += 1) {
    await collection.sweep(false);
    say(`swept ${n}`);
  }
  await once(process.stdin, 'data');
}

if (mode === 'one') {
  await writeContent();
} else if (mode === 'collect') {
  await collect();
} else if (mode === 'endless') {
  const content4 = [1, 2, 3, 4].map(async () => {
    for (;;) await writeContent();
  });
  await Promise.all([...content4, untilRefused((round) => writeChain(`e${round}`))]);
} else {
  await untilRefused(() => writeContent());
  await untilRefused((round) => writeChain(`f${round}`));
  await once(process.stdin, 'data');
  rmSync(ballast);
  await writeChain('later');
  await writeContent();
  await content.close();
  await chain.close();
  say('closed');
  process.exit();
}
