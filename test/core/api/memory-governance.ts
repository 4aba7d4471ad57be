/** The part of the memory backend that decides, and says who may write: all of it at once. */
import type { Body, Query, Result } from '../../../src/core/api/contract/endpoints.ts';
import type { ProposalView, WantedChange } from '../../../src/core/api/contract/governance.ts';
import { AegisError } from '../../../src/core/errors.ts';
import { ALICE, BOB, CUSTODIANS, hex } from './memory-chain.ts';

const STARTED = '2026-11-20T12:00:00.000Z';
const LATER = '2026-11-27T12:00:00.000Z';
const HEIGHT = 8;

export class MemoryGovernance {
  readonly proposed: ProposalView[] = [];
  readonly #rights = new Map<string, Map<string, 'owner' | 'writer'>>();
  readonly #anchors: Result<'intents.anchors'>['anchors'] = [];

  async propose({
    changes,
    at,
    wait,
  }: Body<'cluster.propose'>): Promise<Result<'cluster.propose'>> {
    const proposal: ProposalView = {
      ...{ id: hex(JSON.stringify(changes)), proposer: ALICE, at, quorum: 3 },
      changes: changes.map((change) => ({ op: change.op, member: null, text: textOf(change) })),
      ...{ createdAt: STARTED, expiresAt: LATER, status: 'open', approvals: [ALICE] },
      ...{ effectiveAt: null, why: null, awaitsThis: false },
    };
    this.proposed.push(proposal);
    return { proposal, ...decision(wait) };
  }

  async approve(id: string, { wait }: Body<'cluster.approve'>): Promise<Result<'cluster.approve'>> {
    const at = this.proposed.findIndex((one) => one.id.startsWith(id));
    const found = this.proposed[at];
    if (found === undefined) throw new AegisError('NOT_FOUND', `no proposal ${id}`);
    const proposal = { ...found, approvals: [ALICE, BOB] };
    this.proposed[at] = proposal;
    return { proposal, ...decision(wait) };
  }

  async proposals({ all }: Query<'cluster.proposals'>): Promise<Result<'cluster.proposals'>> {
    const proposals = this.proposed.filter(({ status }) => all || status === 'open');
    return { proposals, height: HEIGHT, quorum: 3 };
  }

  async clusterState(): Promise<Result<'cluster.state'>> {
    return {
      ...{ clusterId: 'aegisc1xyz', clusterName: 'demo', height: HEIGHT },
      epoch: { from: 1, digest: hex('custodians'), custodians: CUSTODIANS, quorum: 3 },
      protocol: {
        ...{ version: 1, max: 2, raise: { version: 2, ready: 1, quorum: 3 } },
        readiness: CUSTODIANS.map((who, at) => ({ ...who, version: at === 0 ? 2 : null })),
      },
      parameters: [{ name: 'openWrites', value: 1 }],
      proposals: this.proposed.length,
      checkpoint: null,
    };
  }

  async quotas(): Promise<Result<'cluster.quotas'>> {
    const used = { used: 3, limit: null };
    const amounts = { changesPerHour: used, bytesPerHour: used, paths: { used: 1, limit: 10 } };
    const quotas = [{ ...BOB, role: 'agent' as const, ...amounts }];
    return { height: HEIGHT, hour: STARTED, quotas };
  }

  async anchor(body: Body<'intents.anchor'>): Promise<Result<'intents.anchor'>> {
    const { label, digest } = body;
    const last = this.#anchors.findLast((one) => one.label === label)?.digest ?? null;
    const previous = body.previous === undefined ? last : body.previous;
    if (previous !== last) throw new AegisError('CHECK_FAILED', 'it follows another one');
    this.#anchors.push({ label, digest, previous, height: HEIGHT });
    return { label, digest, previous, intent: fate(`anchor ${digest}`) };
  }

  async anchors(): Promise<Result<'intents.anchors'>> {
    return { ...ALICE, height: HEIGHT, anchors: this.#anchors };
  }

  async relayIntents({ signed, wait }: Body<'intents.relay'>): Promise<Result<'intents.relay'>> {
    return { intents: signed.map(fate), wait };
  }

  async grant({ path, node, right, wait }: Body<'kb.grant'>): Promise<Result<'kb.grant'>> {
    const found = memberOf(node);
    const rights = this.#rights.get(path) ?? new Map<string, 'owner' | 'writer'>();
    const changed = rights.get(found.nodeId) !== right;
    this.#rights.set(path, rights.set(found.nodeId, right));
    return { path, node: found, right, ...this.#decided(path, wait), changed };
  }

  async revoke({ path, node, wait }: Body<'kb.revoke'>): Promise<Result<'kb.revoke'>> {
    const found = memberOf(node);
    const changed = this.#rights.get(path)?.delete(found.nodeId) === true;
    return { path, node: found, ...this.#decided(path, wait), changed };
  }

  async erase({ path, wait }: Body<'kb.erase'>): Promise<Result<'kb.erase'>> {
    return { path, ...this.#decided(path, wait), changed: true };
  }

  async rights({ path }: Query<'kb.rights'>): Promise<Result<'kb.rights'>> {
    const rights = this.#rights.get(path);
    const of = (right: 'owner' | 'writer') =>
      CUSTODIANS.filter(({ nodeId }) => rights?.get(nodeId) === right);
    const namespace =
      rights === undefined ? null : { path, owners: of('owner'), writers: of('writer') };
    const may = namespace === null || rights?.has(ALICE.nodeId) === true;
    return { path, height: HEIGHT, namespace, openWrites: true, mayWrite: may, mayGrant: may };
  }

  async proof({ path, version }: Query<'kb.proof'>): Promise<Result<'kb.proof'>> {
    const digest = hex(`block ${HEIGHT}`);
    return { path, version: version ?? null, height: HEIGHT, digest, proof: 'aGVsbG8=' };
  }

  async pruneChain({ keep, dryRun }: Body<'chain.prune'>): Promise<Result<'chain.prune'>> {
    const base = Math.max(1, HEIGHT - keep + 1);
    const sizes = { bytesBefore: 8192, bytesAfter: dryRun ? 8192 : 4096 };
    return { from: 1, base, height: HEIGHT, blocks: base - 1, ...sizes, dryRun };
  }

  async auditPeer(id: string): Promise<Result<'peers.audit'>> {
    const { nodeId, name } = memberOf(id);
    return {
      ...{ nodeId, name, verdict: 'sound', fault: null, base: 0, height: HEIGHT, agrees: true },
      ...{ digest: hex(`block ${HEIGHT}`), stateRoot: hex('state') },
      ...{ report: 'aGVsbG8=', tookMs: 12 },
    };
  }

  #decided(path: string, wait: 'accepted' | 'final') {
    const final = wait === 'final';
    return { id: hex(path), final, height: final ? HEIGHT : null };
  }
}

const decision = (wait: 'local' | 'final') =>
  wait === 'final' ? { final: true, height: HEIGHT } : { final: false, height: null };

const textOf = (change: WantedChange): string => JSON.stringify(change);

const fate = (text: string) => ({
  ...{ id: hex(text), sequence: 1, status: 'final' as const, height: HEIGHT },
  ...{ result: 'done' as const, reason: null },
});

export function memberOf(id: string) {
  const found = CUSTODIANS.find(({ nodeId, name }) => nodeId.startsWith(id) || name === id);
  if (found === undefined) throw new AegisError('NOT_FOUND', `no member ${JSON.stringify(id)}`);
  return found;
}
