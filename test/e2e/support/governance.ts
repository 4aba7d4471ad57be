/** Proposals and load in a cluster, for the tests in which it changes under load. */
import type { Result } from '../../../src/core/api/contract/endpoints.ts';
import type { ProposalView, WantedChange } from '../../../src/core/api/contract/governance.ts';
import { hasCode, isAegisError } from '../../../src/core/errors.ts';
import { clientOf, putFinal } from './api.ts';
import { type Cluster, eventually } from './cluster.ts';

const DECIDE_MS = 60_000;
/** Between two documents of a writer: they go on, but leave the cores to what is tested. */
const PAUSE_MS = 100;

/** Proposed by one custodian and approved by others, until it is made. */
export async function decide(
  cluster: Cluster,
  [proposer, ...approvers]: readonly number[],
  changes: WantedChange[],
): Promise<ProposalView> {
  const { proposal } = await clientOf(cluster, proposer!, DECIDE_MS).call('cluster.propose', {
    body: { changes, timeoutMs: DECIDE_MS },
  });
  const { id } = proposal;
  for (const node of approvers) {
    await untilKnown(cluster, node, id);
    const params = { id };
    const body = { timeoutMs: DECIDE_MS };
    await clientOf(cluster, node, DECIDE_MS).call('cluster.approve', { params, body });
  }
  return await eventually(
    async () => (await proposalsAt(cluster, proposer!)).find((one) => one.id === id)!,
    ({ status }) => status !== 'open' && status !== 'decided',
    `proposal ${id} comes to its end`,
  );
}

async function proposalsAt(cluster: Cluster, node: number): Promise<ProposalView[]> {
  const query = { all: true };
  return (await clientOf(cluster, node).call('cluster.proposals', { query })).proposals;
}

/** An approval needs a node that has heard of the proposal. */
const untilKnown = (cluster: Cluster, node: number, id: string): Promise<unknown> =>
  eventually(
    () => proposalsAt(cluster, node),
    (all) => all.some((one) => one.id === id),
    `node ${node} knows proposal ${id}`,
  );

export const stateAt = (cluster: Cluster, node: number): Promise<Result<'cluster.state'>> =>
  clientOf(cluster, node).call('cluster.state');

/** Until the nodes have these custodians, and those of them that are custodians vote. */
export async function untilCustodians(
  cluster: Cluster,
  custodians: readonly number[],
  nodes: readonly number[],
): Promise<void> {
  const wanted = custodians.map((node) => cluster.node(node).nodeId).toSorted();
  for (const node of nodes) {
    await eventually(
      async () => {
        const { epoch } = await stateAt(cluster, node);
        const { isVoting } = await clientOf(cluster, node).call('consensus.status');
        return { ids: epoch.custodians.map(({ nodeId }) => nodeId).toSorted(), isVoting };
      },
      ({ ids, isVoting }) => ids.join() === wanted.join() && isVoting === custodians.includes(node),
      `node ${node} has the custodians ${custodians.join()}`,
    );
  }
}

/** Writers that go on until they are told to end; what they were told to be final is kept. */
export class Load {
  readonly #cluster: Cluster;
  readonly #writers = new Map<number, Promise<void>>();
  readonly #left = new Set<number>();
  readonly final = new Map<string, string>();
  /** Longest time between two documents that became final, of any writer. */
  longestMs = 0;

  constructor(cluster: Cluster, nodes: readonly number[]) {
    this.#cluster = cluster;
    for (const node of nodes) this.add(node);
  }

  add(node: number): void {
    this.#left.delete(node);
    const writer = this.#write(node);
    writer.catch(() => {});
    this.#writers.set(node, writer);
  }

  /** No more by this node; resolves when its last one has ended. */
  async remove(node: number): Promise<void> {
    this.#left.add(node);
    await this.#writers.get(node);
  }

  /** Fails if a writer has met what must not be. */
  async end(): Promise<void> {
    await Promise.all([...this.#writers.keys()].map((node) => this.remove(node)));
  }

  async #write(node: number): Promise<void> {
    for (let n = 0; !this.#left.has(node); n += 1) {
      const path = `load/${node}/${n % 8}`;
      const text = `${node} ${n}`;
      const begun = performance.now();
      try {
        await putFinal(this.#cluster, node, path, text, { timeoutMs: DECIDE_MS });
        this.final.set(path, text);
      } catch (error) {
        if (!isAegisError(error) || !isTemporary(error)) throw error;
      }
      this.longestMs = Math.max(this.longestMs, performance.now() - begun);
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
  }
}

const isTemporary = (error: unknown): boolean => hasCode(error, 'BUSY', 'TRY_AGAIN');
