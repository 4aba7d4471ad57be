/**
 * Puts the facts of `consensus.status` into sentences: what this node waits for, and why it does
 * not come. Pure; the sentences hold no more than the facts do.
 */
import type { ConsensusStatus, Who, Why } from '../contract/consensus.ts';

const nameOf = ({ nodeId, name }: Who): string => name ?? nodeId.slice(0, 14);

/** `a`, `a and b`, `a, b and c`. */
export function listOf(names: readonly string[]): string {
  const last = names.at(-1) ?? 'nobody';
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`;
}

/** `12 s`, `3 min`, `5 h`: as exact as a person needs. */
export function lasted(durationMs: number): string {
  const ms = Math.max(0, durationMs);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Math.floor(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.floor(ms / 60_000)} min`;
  return `${Math.floor(ms / 3_600_000)} h`;
}

/** The most important first; never empty. @param nowMs since the epoch. */
export function whyOf(status: ConsensusStatus, nowMs: number): Why[] {
  return [
    ...history(status),
    ...standing(status),
    ...quorum(status, nowMs),
    ...refusal(status),
    ...progress(status, nowMs),
    ...accused(status),
  ];
}

/** What is wrong with the history of this node, or may become so. */
function history({ divergence, conflict, protocol }: ConsensusStatus): Why[] {
  const found: Why[] = [];
  if (divergence !== null) {
    const { height, key, path } = divergence;
    const where = path ?? key;
    const first = where === null ? 'where they differ is being looked for' : `first at ${where}`;
    const what = `its state is not that of final block ${height}`;
    const text = `this node does not vote: ${what} (${first})`;
    found.push({ cause: 'diverged', text });
  }
  if (conflict !== null) {
    const { height, from } = conflict;
    const what = `another block is certified at height ${height}, which is final here`;
    const text = `${what}: more custodians are faulty than may be (shown by ${nameOf(from)})`;
    found.push({ cause: 'conflict', text });
  }
  const { raise, max } = protocol;
  if (raise !== null) {
    const text =
      raise > max
        ? `this node stops soon: protocol ${raise} is decided, and it takes part up to ${max}`
        : `protocol ${raise} is decided: it begins when a quorum of the custodians is ready`;
    found.push({ cause: 'protocol', text });
  }
  return found;
}

/** Why this node itself does not vote. */
function standing(status: ConsensusStatus): Why[] {
  const found: Why[] = [];
  if (status.keyMissing !== null) {
    const text = `this node cannot vote: ${status.keyMissing}`;
    found.push({ cause: 'key-missing', text });
  }
  if (status.keyElsewhere !== null) {
    const text = `this node's consensus key seems to be in use elsewhere: ${status.keyElsewhere}`;
    found.push({ cause: 'key-elsewhere', text });
  }
  if (status.doubt !== null) {
    found.push({
      cause: 'doubt',
      text: `this node does not vote, it is in doubt: ${status.doubt}`,
    });
  }
  if (status.role === 'agent') {
    found.push({
      cause: 'agent',
      text: 'this node is an agent: it follows the chain without a vote',
    });
  }
  return found;
}

/** Rule: a quorum is n - f; without it nothing becomes final. */
function quorum(status: ConsensusStatus, nowMs: number): Why[] {
  const { connected, custodians, quorum: wanted } = status;
  // An agent needs nobody's vote but one node that tells it the blocks.
  if (status.role === 'agent' || connected >= wanted) return [];
  const gone = status.missing.filter((each) => !each.connected);
  const names = gone.map((each) => {
    const heard = each.lastHeardAt === null ? undefined : nowMs - Date.parse(each.lastHeardAt);
    const since = heard === undefined ? 'not heard since the start' : `silent for ${lasted(heard)}`;
    return `${nameOf(each)} (${since})`;
  });
  const who = names.length === 0 ? '' : `; without a connection: ${listOf(names)}`;
  const reach = `${connected} of ${custodians} custodians are in reach`;
  return [{ cause: 'no-quorum', text: `no quorum: ${reach} and it takes ${wanted}${who}` }];
}

const REFUSALS = {
  time: "its time is too far from this node's clock",
  state: 'it leads to another state here',
  invalid: 'it breaks a rule',
} as const;

function refusal({ refused }: ConsensusStatus): Why[] {
  if (refused === null) return [];
  const { proposer, view, reason, detail } = refused;
  const block = `the block of ${nameOf(proposer)} in view ${view}`;
  const text = `this node refused ${block}: ${REFUSALS[reason]}`;
  return [{ cause: 'refused', text: detail === '' ? text : `${text} (${detail})` }];
}

/** What the phase waits for. */
function progress(status: ConsensusStatus, nowMs: number): Why[] {
  const { behind, height, phase } = status;
  if (phase === 'catch-up' || behind > 0) {
    const count = behind === 1 ? '1 block' : `${behind} blocks`;
    return [{ cause: 'catch-up', text: `${count} that others hold final are being fetched` }];
  }
  if (phase === 'idle') {
    const text = `nothing is to be decided; the last final block is ${height}`;
    return [{ cause: 'idle', text: height === 0 ? 'nothing has been decided yet' : text }];
  }
  const since =
    status.viewSince === null ? '' : ` for ${lasted(nowMs - Date.parse(status.viewSince))}`;
  const where = `height ${height + 1}, view ${status.view}${since}`;
  if (phase === 'propose') {
    const who = status.leader === null ? 'the leader' : nameOf(status.leader);
    const limit = `given up after ${lasted(status.timeoutMs)}`;
    return [{ cause: 'proposal', text: `${where}: waits for a block from ${who}, ${limit}` }];
  }
  const votes = phase === 'timeout' ? status.timeouts : status.votes[phase];
  const late = status.missing.filter((each) => each.connected).map(nameOf);
  const from = late.length === 0 ? '' : `; still to come from ${listOf(late)}`;
  const what = phase === 'timeout' ? 'to give the view up' : `to ${phase}`;
  const text = `${where}: ${votes.length} of ${status.quorum} votes ${what}${from}`;
  return [{ cause: phase === 'timeout' ? 'view-change' : 'votes', text }];
}

function accused({ evidence, runTwice, liars }: ConsensusStatus): Why[] {
  const lied = liars.map((liar): Why => {
    const text = `${nameOf(liar)} is asked last: ${liar.what}`;
    return { cause: 'liars', text };
  });
  const twice = [...lied, ...copied(runTwice)];
  if (evidence === 0) return twice;
  const proofs = evidence === 1 ? 'there is a proof' : `there are ${evidence} proofs`;
  const text = `${proofs} that a custodian broke the rules: aegis consensus evidence`;
  return [...twice, { cause: 'evidence', text }];
}

function copied(runTwice: ConsensusStatus['runTwice']): Why[] {
  return runTwice.map(({ name }): Why => {
    const text = `${name} runs twice: two daemons with its keys are there, so its home was copied`;
    return { cause: 'runs-twice', text };
  });
}
