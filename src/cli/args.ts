/** Arguments that several commands take. */
import { Args } from '@oclif/core';

export const peerArg = Args.string({
  required: true,
  description: 'Node id, the start of one, peer id or name.',
});

export const heightArg = Args.string({
  required: true,
  description: 'Height of a block, from 1.',
});

export const intentArg = Args.string({
  required: true,
  description: 'Id of an intent; the first 8 digits are enough for a recent one.',
});

export const kbPathArg = Args.string({
  required: true,
  description: 'Path in the knowledge base, e.g. notes/plan.md.',
});
