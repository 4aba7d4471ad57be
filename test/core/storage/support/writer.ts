/**
 * A process of its own that writes to both stores and says what is acknowledged, a line each:
 * `ready`, `chain KEY`, `content CID`, `refused CODE`. Run as `node writer.ts DIR MODE`.
 *
 * - `endless` writes until it is killed.
 * - `fill` writes until the disk refuses, makes room when told `free` on stdin, and writes again.
 * - `one` writes one object.
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

if (mode === 'one') {
  await writeContent();
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
