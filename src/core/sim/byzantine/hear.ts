/** What a node can read from what it hears. */
import type { ChainInput } from '../../chain/chain.ts';
import type { ConsensusMessage } from '../../consensus/messages.ts';
import type { Certificate } from '../../consensus/types.ts';

export const consensusOf = (input: ChainInput): ConsensusMessage | undefined =>
  input.type === 'message' && input.message.type === 'consensus'
    ? input.message.message
    : undefined;

/** The certificates of votes that a message carries. */
export function certificatesIn(message: ConsensusMessage): Certificate[] {
  const found = ((): (Certificate | undefined)[] => {
    switch (message.type) {
      case 'proposal':
        return [message.previous, message.timeout?.high];
      case 'certificate':
        return [message.certificate];
      case 'timeout':
        return [message.high];
      case 'timeout-certificate':
        return [message.certificate.high];
      case 'status':
        return [message.commit, message.high, message.timeout?.high];
      default:
        return [];
    }
  })();
  return found.filter((certificate) => certificate !== undefined);
}
