/**
 * Seals leaves in bulk (docs/knowledge-base.md, W43), in the worker: the salt of a leaf by the
 * native BLAKE3 where its optional package is installed, or else by WebAssembly. It keeps no keys.
 */
import { type LeafKeys, sealLeaf } from '../crypto/sealed-leaf.ts';

export type SealLeaf = (leaf: Uint8Array) => Uint8Array;

export async function leafSealer(keys: LeafKeys): Promise<SealLeaf> {
  const salt = (await nativeSalt(keys.mac)) ?? (await portableSalt(keys.mac));
  return (leaf) => sealLeaf(keys, leaf, salt(leaf));
}

async function nativeSalt(mac: Uint8Array): Promise<SealLeaf | undefined> {
  try {
    const { Blake3Hasher } = await import('@napi-rs/blake-hash');
    const key = Buffer.from(mac);
    return (leaf) => Blake3Hasher.newKeyed(key).update(leaf).digestBuffer();
  } catch {
    // An optional package: absent on platforms without a build.
    return undefined;
  }
}

async function portableSalt(mac: Uint8Array): Promise<SealLeaf> {
  const { createBLAKE3 } = await import('hash-wasm');
  const state = await createBLAKE3(256, mac);
  return (leaf) => state.init().update(leaf).digest('binary');
}
