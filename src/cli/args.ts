/** Arguments that several commands take. */
import { Args } from '@oclif/core';

export const peerArg = Args.string({
  required: true,
  description: 'Node id, the start of one, peer id or name.',
});

export const kbPathArg = Args.string({
  required: true,
  description: 'Path in the knowledge base, e.g. notes/plan.md.',
});
