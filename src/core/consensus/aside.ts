/**
 * What reaches a replica from outside of its circle: from a node that is no custodian at this
 * height, or as an agent. Such messages count for nothing here. But between two heights with
 * different custodians (E5) those who are further speak to those who are not: what is proven leads
 * on, what is for the next height is kept until it is known who speaks there, and who is behind is
 * told what it lacks.
 */
import { takeCertificate, takeEvidence } from './intake.ts';
import { LIMITS } from './limits.ts';
import { type ConsensusMessage, heightOf } from './messages.ts';
import type { State } from './state.ts';
import type { Sender } from './trust.ts';
import type { Certificate } from './types.ts';

/** @returns the height that the sender works at, if that is final here and it is to be told so. */
export function takeAside(
  state: State,
  nodeId: string,
  message: ConsensusMessage,
): number | undefined {
  const index = state.setting.indices.get(nodeId);
  if (index === undefined && !mayHear(state, nodeId)) return undefined;
  const from: Sender = index ?? nodeId;
  const certificate = proofIn(message);
  if (certificate !== undefined) takeCertificate(state, from, certificate);
  if (message.type === 'evidence') takeEvidence(state, from, message);
  const height = heightOf(message);
  if (height === undefined) return undefined;
  if (height === state.height + 1 && message.type !== 'status') {
    if (index === undefined) state.ahead.keepOfStranger(nodeId, message);
    else state.ahead.keep(nodeId, message);
  }
  // A certificate is an answer, and needs none.
  return height < state.height && message.type !== 'certificate' ? height : undefined;
}

/** What shows that a height is final, whoever says it. */
function proofIn(message: ConsensusMessage): Certificate | undefined {
  switch (message.type) {
    case 'certificate':
      return message.certificate;
    case 'proposal':
      return message.previous;
    case 'status':
      return message.commit;
    default:
      return undefined;
  }
}

/** So many in a height: more lose nothing but time, since what is final is announced as well. */
function mayHear(state: State, nodeId: string): boolean {
  const { strangers } = state;
  if (strangers.has(nodeId)) return true;
  if (strangers.size >= LIMITS.strangers) return false;
  strangers.add(nodeId);
  return true;
}
