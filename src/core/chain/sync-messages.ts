/**
 * The messages by which a node takes a snapshot (Y4), and looks for where its state differs (Y7):
 * questions, and answers that may be empty, since what was asked for may be gone. Whether an answer
 * is right is for those who asked.
 */
import { Fields, orNull } from '../consensus/fields.ts';
import {
  leavesValue,
  type Manifest,
  manifestValue,
  pageValue,
  readLeaves,
  readManifest,
  readPage,
  readPrefix,
} from './snapshot.ts';
import type { StateRow, TreeNode } from './state-tree.ts';
import type { StoredRow } from './types.ts';

export type SyncMessage =
  /** `checkpoint`: a height whose header is asked for as well (Y5). */
  | {
      readonly type: 'snapshot-want';
      readonly height: number;
      readonly checkpoint: number | undefined;
    }
  | { readonly type: 'snapshot'; readonly height: number; readonly manifest: Manifest | undefined }
  | { readonly type: 'page-want'; readonly height: number; readonly index: number }
  | {
      readonly type: 'page';
      readonly height: number;
      readonly index: number;
      readonly rows: readonly StoredRow[] | undefined;
    }
  | { readonly type: 'part-want'; readonly height: number; readonly prefix: string }
  | {
      readonly type: 'part';
      readonly height: number;
      readonly prefix: string;
      readonly leaves: readonly StateRow[] | undefined;
    }
  /** Y7: what stands in the state after a height where the bits of `prefix` lead. */
  | { readonly type: 'node-want'; readonly height: number; readonly prefix: string }
  | {
      readonly type: 'node';
      readonly height: number;
      readonly prefix: string;
      readonly node: TreeNode | undefined;
    };

const TYPES: ReadonlySet<string> = new Set<SyncMessage['type']>([
  'snapshot-want',
  'snapshot',
  'page-want',
  'page',
  'part-want',
  'part',
  'node-want',
  'node',
]);

export const isSyncType = (type: unknown): type is SyncMessage['type'] =>
  typeof type === 'string' && TYPES.has(type);

export function syncFields(message: SyncMessage): readonly unknown[] {
  const { height } = message;
  switch (message.type) {
    case 'snapshot-want':
      return [height, orNull(message.checkpoint)];
    case 'snapshot':
      return [height, message.manifest === undefined ? null : manifestValue(message.manifest)];
    case 'page-want':
      return [height, message.index];
    case 'page':
      return [height, message.index, message.rows === undefined ? null : pageValue(message.rows)];
    case 'part': {
      const { leaves } = message;
      return [height, message.prefix, leaves === undefined ? null : leavesValue(leaves)];
    }
    case 'node':
      return [height, message.prefix, nodeValue(message.node)];
    default:
      return [height, message.prefix];
  }
}

function nodeValue(node: TreeNode | undefined): unknown {
  if (node === undefined) return null;
  if (node.type === 'empty') return [];
  if (node.type === 'inner') return ['inner', node.left, node.right];
  return ['leaf', new Uint8Array(Buffer.from(node.key, 'hex')), node.value];
}

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function readSyncMessage(type: SyncMessage['type'], rest: readonly unknown[]): SyncMessage {
  const isAnswer = !type.endsWith('-want');
  const isShort = type === 'snapshot';
  const fields = new Fields(rest, isAnswer && !isShort ? 3 : 2, type);
  const height = fields.height();
  switch (type) {
    case 'snapshot-want': {
      const checkpoint = fields.optional((value) => new Fields([value], 1, type).height());
      return { type, height, checkpoint };
    }
    case 'snapshot':
      return { type, height, manifest: fields.optional(readManifest) };
    case 'page-want':
      return { type, height, index: fields.integer(0, Number.MAX_SAFE_INTEGER) };
    case 'page': {
      const index = fields.integer(0, Number.MAX_SAFE_INTEGER);
      return { type, height, index, rows: fields.optional(readPage) };
    }
    case 'part': {
      const prefix = fields.read(readPrefix);
      return { type, height, prefix, leaves: fields.optional(readLeaves) };
    }
    case 'node': {
      const prefix = fields.read(readPrefix);
      return { type, height, prefix, node: fields.optional(readNode) };
    }
    default:
      return { type, height, prefix: fields.read(readPrefix) };
  }
}

function readNode(value: unknown): TreeNode {
  if (Array.isArray(value) && value.length === 0) return { type: 'empty' };
  const fields = new Fields(value, 3, 'node of the state');
  const type = fields.word(['inner', 'leaf'] as const);
  if (type === 'inner') return { type, left: fields.bytes(32), right: fields.bytes(32) };
  const [leaf] = readLeaves([[fields.bytes(32), fields.read((bytes) => bytes)]]);
  return { type, key: leaf!.key, value: leaf!.value };
}
