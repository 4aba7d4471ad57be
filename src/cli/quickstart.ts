/**
 * The story that `aegis quickstart` tells: every step is a real command against real daemons, run
 * as a user would run it, and checked from outside.
 */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { QuickstartResult } from '../core/api/contract/daemons.ts';
import { AegisError, ERRORS, type ErrorBody } from '../core/errors.ts';
import { Devnet } from '../core/node/devnet.ts';
import type { DevnetRoute } from '../core/node/devnet-tor.ts';
import { MIB } from '../core/units.ts';
import { VERSION } from './version.ts';

export type Step = QuickstartResult['steps'][number];
type FinalBlock = QuickstartResult['blocks'][number];
/** What has happened, as `--json` prints it. */
export type Story = Omit<QuickstartResult, 'schema' | 'kept'>;

export interface StoryOptions {
  /** Everything lives below; the cluster in `data/devnet`. */
  readonly home: string;
  readonly bin: string;
  /** Behind a private Tor network, or on loopback. */
  readonly route: DevnetRoute;
  readonly signal: AbortSignal;
  /** Called when a step is done. */
  readonly tell: (step: Step) => void;
}

const BINARY_BYTES = 20 * MIB;
/** The fourth node lends no storage, so that what it reads must come from others. */
const STORAGE_WEIGHTS = [100, 100, 100, 0];
const CATCH_UP_MS = 15_000;
/** Through six relays everything takes longer, and some of it much longer (O23). */
const ONION_CATCH_UP_MS = 120_000;

export class Quickstart {
  readonly #options: StoryOptions;
  readonly #devnet: Devnet;
  readonly #steps: Step[] = [];
  readonly #blocks: FinalBlock[] = [];

  private constructor(options: StoryOptions, devnet: Devnet) {
    this.#options = options;
    this.#devnet = devnet;
  }

  /** Makes keys, homes and the genesis of four nodes. */
  static async create(options: StoryOptions): Promise<Quickstart> {
    const dir = join(options.home, 'data', 'devnet');
    const devnet = await Devnet.create(
      { dir, bin: options.bin, version: VERSION },
      { size: STORAGE_WEIGHTS.length, storageWeights: STORAGE_WEIGHTS, route: options.route },
    );
    return new Quickstart(options, devnet);
  }

  get #isOnion(): boolean {
    return this.#options.route === 'require';
  }

  /** What goes in and what comes out, inside the devnet so that it is removed with it. */
  get #documents(): string {
    return join(this.#options.home, 'data', 'devnet', 'documents');
  }

  /** @throws {AegisError} what went wrong, from the command that found it. */
  async run(): Promise<Story> {
    const begun = performance.now();
    await this.#startAll();
    const { files, sizeBytes } = await this.#putDirectory();
    await this.#readElsewhere();
    await this.#surviveAKill();
    const nodes = (await this.#devnet.status()).map(({ name, nodeId, pid, home }) => {
      return { name, nodeId, pid: pid!, home };
    });
    const durationMs = Math.round(performance.now() - begun);
    return { nodes, steps: this.#steps, blocks: this.#blocks, files, sizeBytes, durationMs };
  }

  /** Stops every daemon. */
  async stop(): Promise<void> {
    await this.#devnet.down();
  }

  async #startAll(): Promise<void> {
    const title = 'Four custodians, four processes, four homes';
    const command = `aegis devnet up${this.#isOnion ? ' --route require' : ''}`;
    await this.#step(title, command, async () => {
      await this.#devnet.up(this.#options.signal);
      await Promise.all(
        this.#devnet.nodes.map((_, i) => this.#aegis(i + 1, 'node', 'wait', '--for', 'peers=3')),
      );
      const how = this.#isOnion ? await this.#allOnions() : 'encrypted';
      return `each is connected to the three others, ${how}, and knows who they are`;
    });
  }

  /** Looks at every connection: in `require` there is no other kind (O1). */
  async #allOnions(): Promise<string> {
    for (const [i, { name }] of this.#devnet.nodes.entries()) {
      const { peers } = (await this.#aegis(i + 1, 'peers', 'list')) as {
        peers: { route: string }[];
      };
      if (!peers.every(({ route }) => route === 'onion')) {
        throw new AegisError('BUG', `${name} is connected by another way than Tor`);
      }
    }
    return 'onion service to onion service, encrypted';
  }

  async #putDirectory(): Promise<{ files: number; sizeBytes: number }> {
    const dir = join(this.#documents, 'library');
    const sizes = await makeLibrary(dir);
    const command = 'aegis --home node1 kb put library';
    await this.#step('A directory goes in on node 1', command, async () => {
      const put = await this.#aegis(1, 'kb', 'put', dir, '--path', 'library');
      const { confirmed } = put['replicas'] as { confirmed: number };
      const block = await this.#finalBlock(put);
      return (
        `text, JSON and a 20 MiB binary: ${String(put['cid'])}, durable on ${confirmed} nodes\n` +
        signedText(block)
      );
    });
    return { files: sizes.length, sizeBytes: sizes.reduce((sum, size) => sum + size, 0) };
  }

  async #readElsewhere(): Promise<void> {
    const command = 'aegis --home node4 kb get library -o copy';
    await this.#step('The same directory comes out on node 4', command, async () => {
      const stat = await this.#until(4, (entry) => entry !== undefined, 'kb', 'stat', 'library');
      if (stat['local'] !== false) throw new AegisError('BUG', 'node 4 held the content before');
      const copy = join(this.#documents, 'copy');
      await this.#aegis(4, 'kb', 'get', 'library', '-o', copy);
      await sameFiles(join(this.#documents, 'library'), copy);
      return 'node 4 held none of it, fetched it from the others, and every byte is the same';
    });
  }

  async #surviveAKill(): Promise<void> {
    const note = join(this.#documents, 'note.md');
    await writeFile(note, `# Written while node 2 was dead\n\n${new Date().toISOString()}\n`);
    const killed = 'aegis devnet kill 2; aegis --home node1 kb put note.md';
    const last = await this.#step(
      'Node 2 is killed; three are enough to go on',
      killed,
      async () => {
        await this.#devnet.kill('node2');
        const put = await this.#aegis(1, 'kb', 'put', note, '--path', 'note.md');
        const block = await this.#finalBlock(put);
        if (block.signers.includes('node2')) throw new AegisError('BUG', 'a dead node has signed');
        await this.#until(4, (entry) => entry !== undefined, 'kb', 'stat', 'note.md');
        const copy = join(this.#documents, 'note-from-4.md');
        await this.#aegis(4, 'kb', 'get', 'note.md', '-o', copy);
        if (!(await readFile(copy)).equals(await readFile(note))) throw differs('note.md');
        return [`${signedText(block)}, not by node2; read on node 4`, block];
      },
    );
    const back = `aegis devnet resume 2; aegis --home node2 node wait --for height=${last.height}`;
    await this.#step('Node 2 comes back', back, async () => {
      await this.#devnet.resume('node2');
      await this.#aegis(2, 'node', 'wait', '--for', `height=${last.height}`);
      const { digest } = await this.#aegis(2, 'consensus', 'block', String(last.height));
      if (digest !== last.digest) throw differs(`the block at height ${last.height}`);
      await this.#until(2, (entry) => entry?.['local'] === true, 'kb', 'stat', 'note.md');
      return `it holds what it missed: the same block at height ${last.height}, and the note`;
    });
  }

  /** The block that made a version final, as node 1 has it. */
  async #finalBlock(put: Record<string, unknown>): Promise<FinalBlock> {
    const { height } = put as { height: number };
    const block = await this.#aegis(1, 'consensus', 'block', String(height));
    const { signers } = block['certificate'] as { signers: { nodeId: string }[] };
    const signed = new Set(signers.map(({ nodeId }) => nodeId));
    const namesOf = (isSigner: boolean): string[] =>
      this.#devnet.nodes
        .filter(({ nodeId }) => signed.has(nodeId) === isSigner)
        .map(({ name }) => name);
    const digest = String(block['digest']);
    const final = { height, digest, signers: namesOf(true), absent: namesOf(false) };
    this.#blocks.push(final);
    return final;
  }

  /** `work` returns what the step says, or that and what later steps need. */
  async #step<T = undefined>(
    title: string,
    command: string,
    work: () => Promise<string | [says: string, result: T]>,
  ): Promise<T> {
    const begun = performance.now();
    const done = await work();
    const [says, result] = typeof done === 'string' ? [done, undefined as T] : done;
    const step = { title, command, durationMs: Math.round(performance.now() - begun), says };
    this.#steps.push(step);
    this.#options.tell(step);
    return result;
  }

  /** Repeats a question until the answer is right: others learn of a version a moment later. */
  async #until(
    node: number,
    right: (reply: Record<string, unknown> | undefined) => boolean,
    ...args: string[]
  ): Promise<Record<string, unknown>> {
    const end = performance.now() + (this.#isOnion ? ONION_CATCH_UP_MS : CATCH_UP_MS);
    for (;;) {
      const reply = await this.#aegis(node, ...args).catch((error: unknown) => {
        if (error instanceof AegisError && error.code === 'NOT_FOUND') return undefined;
        throw error;
      });
      if (right(reply)) return reply ?? {};
      if (performance.now() > end) {
        throw new AegisError('TIMEOUT', `node ${node} did not catch up: aegis ${args.join(' ')}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Runs `aegis` on the home of a node, as a process, and reads its JSON. */
  async #aegis(node: number, ...args: string[]): Promise<Record<string, unknown>> {
    const { home } = this.#devnet.nodes[node - 1]!;
    const { bin, signal } = this.#options;
    const patience = this.#isOnion ? ['--timeout', `${ONION_CATCH_UP_MS}ms`] : [];
    const argv = [bin, ...args, ...patience, '--home', home, '--json', '--no-input'];
    signal.throwIfAborted();
    const stdout = await new Promise<string>((resolve, reject) => {
      const child = execFile(process.execPath, argv, { maxBuffer: MIB }, (error, out, err) => {
        signal.removeEventListener('abort', onAbort);
        if (signal.aborted) reject(signal.reason as Error);
        else if (error === null || out.startsWith('{')) resolve(out);
        // A terminal interrupts the whole group, and the command may hear of it before this does.
        else if (error.signal === 'SIGINT')
          reject(new AegisError('INTERRUPTED', 'interrupted', { details: { cause: 'SIGINT' } }));
        else
          reject(new AegisError('BUG', `aegis ${args.join(' ')} failed: ${err || error.message}`));
      });
      // Unlike the option `signal` of execFile, this waits until the command has tidied up.
      const onAbort = (): void => void child.kill('SIGTERM');
      signal.addEventListener('abort', onAbort, { once: true });
    });
    const reply = JSON.parse(stdout) as { error?: ErrorBody } & Record<string, unknown>;
    if (reply.error !== undefined && reply.error.code in ERRORS) {
      const { code, message, hint } = reply.error;
      throw new AegisError(code, message, hint === undefined ? {} : { hint });
    }
    return reply;
  }
}

/** `final at height 1, signed by node1, node3 and node4 (3 of 4)` */
function signedText({ height, signers, absent }: FinalBlock): string {
  const names = `${signers.slice(0, -1).join(', ')} and ${signers.at(-1) ?? ''}`;
  const all = signers.length + absent.length;
  return `final at height ${height}, signed by ${names} (${signers.length} of ${all})`;
}

/** A small directory with a text, a JSON file and a binary. Returns the sizes. */
async function makeLibrary(dir: string): Promise<number[]> {
  await rm(dir, { recursive: true, force: true });
  await mkdir(join(dir, 'data'), { recursive: true });
  const files: [string, Uint8Array][] = [
    ['README.md', Buffer.from('# A library\n\nText, JSON and a binary, kept by four nodes.\n')],
    [
      'settings.json',
      Buffer.from(`${JSON.stringify({ port: 8080, zones: ['a', 'b'] }, null, 2)}\n`),
    ],
    [join('data', 'noise.bin'), randomBytes(BINARY_BYTES)],
  ];
  for (const [name, bytes] of files) await writeFile(join(dir, name), bytes);
  return files.map(([, bytes]) => bytes.length);
}

async function sameFiles(a: string, b: string): Promise<void> {
  const [left, right] = await Promise.all([digests(a), digests(b)]);
  if (left.length !== right.length) throw differs(b);
  for (const [i, line] of left.entries()) if (line !== right[i]) throw differs(line);
}

/** A sorted line a file: digest and relative path. */
async function digests(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const lines = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      const digest = createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
      return `${digest} ${path.slice(dir.length)}`;
    });
  return (await Promise.all(lines)).sort();
}

const differs = (what: string): AegisError =>
  new AegisError('BAD_DATA', `what came out differs from what went in: ${what}`);
