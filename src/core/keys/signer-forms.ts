/**
 * What may be signed with which key (G1). The signer knows the forms, not their truth: whether a
 * vote is wise is for the node, whether it is the second one in its place for the guard.
 */
import { readPlace, type SignedPlace } from '../consensus/signed-bytes.ts';
import { decode } from '../model/cbor.ts';
import { INTENT_BYTES_MAX } from '../model/intent.ts';
import type { SignerRequest } from './signer-frames.ts';

/**
 * The records that the identity key signs. Not among them: the inception, which is signed once and
 * before there is a signer, and the succession, which the successor signs (S2).
 */
const RECORD_TYPES = [
  'intent',
  'version',
  'session',
  'bundle',
  'invitation',
  'admission',
  'departure',
] as const;

/** The seed epochs, and what stands before them in what is proved (L1). */
const SEED_DOMAIN = Buffer.from('aegis/seed/1\0');
const SEED_BYTES = 32 + 8;

export type Form =
  | { readonly type: 'vote' | 'proposal'; readonly place: SignedPlace }
  | { readonly type: 'record'; readonly record: (typeof RECORD_TYPES)[number] }
  | { readonly type: 'seed' };

/** Undefined: nothing that is signed in this way. */
export function formOf({ op, payload }: Omit<SignerRequest, 'key'>): Form | undefined {
  if (op === 'describe' || op === 'follow') return undefined;
  if (op === 'prove') return isSeed(payload) ? { type: 'seed' } : undefined;
  const place = readPlace(payload);
  if (place !== undefined) {
    const type = place.kind === 'proposal' ? 'proposal' : 'vote';
    return (type === 'vote') === (op === 'vote') ? { type, place } : undefined;
  }
  const record = op === 'sign' ? recordOf(payload) : undefined;
  return record === undefined ? undefined : { type: 'record', record };
}

const isSeed = (alpha: Uint8Array): boolean =>
  alpha.length === SEED_DOMAIN.length + SEED_BYTES &&
  SEED_DOMAIN.equals(alpha.subarray(0, SEED_DOMAIN.length));

/** The type that the domain and the payload both name. */
function recordOf(message: Uint8Array): (typeof RECORD_TYPES)[number] | undefined {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  const type = RECORD_TYPES.find((name) => bytes.indexOf(`aegis/${name}/1\0`) === 0);
  if (type === undefined) return undefined;
  const payload = message.subarray(`aegis/${type}/1\0`.length);
  try {
    const record = decode(payload, { maxBytes: INTENT_BYTES_MAX }) as Record<string, unknown>;
    return record['type'] === type && Number.isSafeInteger(record['v']) ? type : undefined;
  } catch {
    return undefined;
  }
}
