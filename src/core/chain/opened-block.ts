/** A block whose intents have been looked at: each is decoded once, or known from before. */
import { sha256Hex } from '../crypto/hash.ts';
import { type Block, openBlock } from '../model/block.ts';
import { type IntentContext, readIntent, type SignedIntent } from '../model/intent.ts';
import type { SignatureCheck } from '../model/signed.ts';

export interface OpenedBlock {
  readonly block: Block;
  /** Digests of its intents (hex). */
  readonly digests: readonly string[];
  /** Decoded where they were not known from before. */
  readonly intents: readonly (SignedIntent | undefined)[];
}

/**
 * Opens a block; what has to be verified is added to `checks`.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`.
 */
export function openBlockBytes(
  bytes: Uint8Array,
  options: IntentContext & { isKnown(digest: string): boolean },
  checks: SignatureCheck[],
): OpenedBlock {
  const block = openBlock(bytes);
  const digests = block.intents.map(sha256Hex);
  const intents = block.intents.map((intent, at) => {
    if (options.isKnown(digests[at]!)) return undefined;
    const { signed, checks: own } = readIntent(intent, options);
    checks.push(...own);
    return signed;
  });
  return { block, digests, intents };
}
