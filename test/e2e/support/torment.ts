/**
 * A seeded plan of faults for a running cluster: processes that are killed, frozen and started
 * again, cut connections, logs that lose their tail, homes that are copies. After each one that
 * leaves a quorum the others must go on; after each one that does not, so must all once it is over.
 */
import { isAegisError } from '../../../src/core/errors.ts';
import { putFinal, type Status, statusOf } from './api.ts';
import { type Cluster, eventually } from './cluster.ts';
import { Prng } from './random.ts';
import { copyData, damageTail, takeData } from './store.ts';

const FAULTS = [
  ...(['kill', 'kill the leader', 'freeze', 'freeze the leader', 'cut off'] as const),
  ...(['restart', 'damage the log', 'copy the home', 'kill too many', 'halves', 'power'] as const),
] as const;
type Fault = (typeof FAULTS)[number];

/** A write that finds a quorum is final after this at the latest, however often views fail. */
const PROGRESS_MS = 60_000;
const FRAMES_MAX = 30;
const CUT_WRITES = 8;

export class Torment {
  readonly #cluster: Cluster;
  readonly #plan: Prng;
  /** Of the present round: what a round draws does not change the next one. */
  #prng: Prng;
  readonly #nodes: readonly number[];
  readonly #faultyMax: number;
  /** What has been done, for whoever has to find out what went wrong. */
  readonly journal: string[] = [];
  #left: Fault[] = [];
  #serial = 0;

  constructor(cluster: Cluster, prng: Prng) {
    this.#cluster = cluster;
    this.#plan = prng;
    this.#prng = prng;
    this.#nodes = cluster.devnet.nodes.map((_, n) => n + 1);
    this.#faultyMax = Math.floor((this.#nodes.length - 1) / 3);
  }

  /** One fault and its end. Each kind comes once before any comes again. */
  async round(): Promise<void> {
    if (this.#left.length === 0) this.#left = [...FAULTS];
    this.#prng = new Prng(this.#plan.u32());
    const [fault] = this.#left.splice(this.#prng.int(0, this.#left.length - 1), 1);
    await this.#do(fault!);
  }

  /** A document is put by this node and becomes final. */
  async progress(node: number): Promise<void> {
    this.#serial += 1;
    const path = `progress/${this.#serial}`;
    const ends = performance.now() + PROGRESS_MS;
    for (;;) {
      try {
        await putFinal(this.#cluster, node, path, path, { timeoutMs: PROGRESS_MS });
        return;
      } catch (error) {
        // After a restart a node first gets back what it wrote; the same command again is harmless.
        const isEarly = isAegisError(error) && error.code === 'TRY_AGAIN';
        if (!isEarly || performance.now() > ends) throw error;
        await new Promise((done) => setTimeout(done, 50));
      }
    }
  }

  async #do(fault: Fault): Promise<void> {
    const victims = this.#pick(this.#prng.int(1, this.#faultyMax));
    switch (fault) {
      case 'kill':
        return await this.#strike(fault, victims, 'kill');
      case 'kill the leader':
        return await this.#strike(fault, [await this.#leader()], 'kill');
      case 'freeze':
        return await this.#strike(fault, victims, 'pause');
      case 'freeze the leader':
        return await this.#strike(fault, [await this.#leader()], 'pause');
      case 'kill too many':
        return await this.#together(fault, this.#pick(this.#faultyMax + 1));
      case 'power':
        return await this.#together(fault, this.#nodes);
      case 'cut off':
        return await this.#cutOff(victims);
      case 'halves':
        return await this.#halves();
      case 'restart':
        return await this.#restart(victims[0]!);
      case 'damage the log':
        return await this.#doubt(fault, victims[0]!, (data) => {
          const frames = damageTail(data, this.#prng.int(1, FRAMES_MAX));
          return `${frames} frames`;
        });
      case 'copy the home':
        return await this.#doubt(fault, victims[0]!, (data) => {
          copyData(data, `${data}.copy`);
          takeData(`${data}.copy`, data);
          return 'all of it';
        });
    }
  }

  async #strike(fault: Fault, victims: readonly number[], how: 'kill' | 'pause'): Promise<void> {
    this.#say(fault, victims);
    await this.#all(victims, (node) => this.#cluster.devnet[how](String(node)));
    await this.progress(this.#pickOther(victims));
    await this.#all(victims, (node) => this.#cluster.devnet.resume(String(node)));
  }

  /** There is no quorum until they are back. */
  async #together(fault: Fault, victims: readonly number[]): Promise<void> {
    this.#say(fault, victims);
    await this.#all(victims, (node) => this.#cluster.devnet.kill(String(node)));
    await this.#all(victims, (node) => this.#cluster.devnet.resume(String(node)));
    await this.progress(this.#prng.pick(this.#nodes));
  }

  async #cutOff(victims: readonly number[]): Promise<void> {
    this.#say('cut off', victims);
    await this.#cluster.devnet.partition(victims.join('/'));
    // Long enough for clients to meet a node whose knowledge is old.
    for (let i = 0; i < CUT_WRITES; i += 1) await this.progress(this.#pickOther(victims));
    await this.#cluster.devnet.heal();
  }

  async #halves(): Promise<void> {
    const some = this.#pick(Math.floor(this.#nodes.length / 2));
    this.#say('halves', some);
    await this.#cluster.devnet.partition(some.join(','));
    for (const node of this.#nodes) {
      await this.#until(node, ({ connected, quorum }) => connected < quorum, 'has no quorum');
    }
    await this.#cluster.devnet.heal();
    await this.progress(this.#prng.pick(this.#nodes));
  }

  async #restart(node: number): Promise<void> {
    this.#say('restart', [node]);
    const run = await this.#cluster.run(node, 'node', 'stop');
    if (run.exit !== 0) throw new Error(`node ${node} does not stop: ${run.stderr}`);
    await this.progress(this.#pickOther([node]));
    await this.#cluster.devnet.resume(String(node));
  }

  /** D3, D4: it comes up in doubt, and votes again when enough has become final. */
  async #doubt(fault: Fault, node: number, spoil: (data: string) => string): Promise<void> {
    await this.#cluster.devnet.kill(String(node));
    this.#say(`${fault}, ${spoil(this.#cluster.home(node).data)}`, [node]);
    await this.#cluster.devnet.resume(String(node));
    for (let isVoting = false; !isVoting; ) {
      await this.progress(this.#pickOther([node]));
      ({ isVoting } = await statusOf(this.#cluster, node));
    }
  }

  async #leader(): Promise<number> {
    const { leader } = await statusOf(this.#cluster, this.#prng.pick(this.#nodes));
    const at = this.#cluster.devnet.nodes.findIndex(({ nodeId }) => nodeId === leader?.nodeId);
    return at < 0 ? this.#pick(1)[0]! : at + 1;
  }

  #pick(count: number): number[] {
    const left = [...this.#nodes];
    return Array.from(
      { length: count },
      () => left.splice(this.#prng.int(0, left.length - 1), 1)[0]!,
    );
  }

  #pickOther(victims: readonly number[]): number {
    return this.#prng.pick(this.#nodes.filter((node) => !victims.includes(node)));
  }

  async #until(node: number, right: (status: Status) => boolean, what: string): Promise<void> {
    await eventually(() => statusOf(this.#cluster, node), right, `node ${node} ${what}`);
  }

  async #all(nodes: readonly number[], act: (node: number) => Promise<unknown>): Promise<void> {
    await Promise.all(nodes.map(act));
  }

  #say(what: string, nodes: readonly number[]): void {
    this.journal.push(`${what}: ${nodes.join(', ')}`);
  }
}
