/** Puts the facts of `consensus.explain` into sentences: how a block became final. Pure. */
import type { Explanation, Who } from '../contract/consensus.ts';
import { lasted, listOf } from './why.ts';

const nameOf = ({ nodeId, name }: Who): string => name ?? nodeId.slice(0, 14);

/** In the order of what happened; never empty. */
export function verdictOf(explanation: Explanation): string[] {
  return [
    ...explanation.views
      .filter(({ outcome }) => outcome === 'failed')
      .map((view) => failed(view, explanation.timing.startedAt)),
    ...(explanation.state === 'final' ? [final(explanation)] : [open(explanation)]),
    ...absent(explanation),
    ...timing(explanation),
  ];
}

/** @param workedAt when there was work for the height; a view begins before that, idle. */
function failed(one: Explanation['views'][number], workedAt: string | null): string {
  const { view, leader, proposed, timeouts, startedAt, endedAt } = one;
  const why =
    proposed === null
      ? ''
      : `: this node saw ${proposed ? 'its block, but no quorum for it' : 'no block from it'}`;
  const after = between(later(startedAt, workedAt), endedAt);
  const took = after === undefined ? '' : ` after ${lasted(after)}`;
  const who = timeouts.length === 0 ? '' : `; given up by ${listOf(timeouts.map(nameOf))}`;
  return `view ${view}, led by ${nameOf(leader)}, failed${took}${why}${who}`;
}

function final(explanation: Explanation): string {
  const { proposer, view, finalView, signers, absent: others, quorum } = explanation;
  const author = proposer === null ? 'a leader' : nameOf(proposer);
  const again =
    finalView === null || finalView === view ? '' : `, proposed again in view ${finalView}`;
  const all = signers.length + others.length;
  const signed = `signed by ${signers.length} of ${all} custodians (it takes ${quorum})`;
  return `${author} proposed it in view ${view ?? 0}${again}; ${signed}`;
}

function open({ height, views }: Explanation): string {
  const now = views.find(({ outcome }) => outcome === 'open');
  if (now === undefined) return `height ${height} is not final, and nothing is to be decided`;
  return `height ${height} is not final: it is in view ${now.view}, led by ${nameOf(now.leader)}`;
}

function absent({ state, absent: others }: Explanation): string[] {
  if (state !== 'final' || others.length === 0) return [];
  const names = listOf(others.map(nameOf));
  return [`not in the certificate: ${names} (late, silent, or not needed any more)`];
}

function timing({ state, timing: times }: Explanation): string[] {
  if (state !== 'final') return [];
  if (times.finalAt === null) return ['this node was not there, or remembers no times of it'];
  const parts = [
    stretch('to the proposal', times.startedAt, times.proposedAt),
    stretch('to a quorum of prepare votes', times.proposedAt, times.preparedAt),
    stretch('to a quorum of commit votes', times.preparedAt, times.finalAt),
  ].filter((part) => part !== undefined);
  const all = between(times.startedAt, times.finalAt);
  const whole = all === undefined ? '' : `final after ${lasted(all)}`;
  const detail = parts.length === 0 ? '' : parts.join(', ');
  const text = [whole, detail].filter((part) => part !== '').join(': ');
  return text === '' ? [] : [text];
}

const stretch = (what: string, from: string | null, to: string | null): string | undefined => {
  const ms = between(from, to);
  return ms === undefined ? undefined : `${lasted(ms)} ${what}`;
};

const later = (a: string | null, b: string | null): string | null =>
  a !== null && b !== null && Date.parse(b) > Date.parse(a) ? b : a;

function between(from: string | null, to: string | null): number | undefined {
  return from === null || to === null ? undefined : Date.parse(to) - Date.parse(from);
}
