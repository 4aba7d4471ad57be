/** The part of the memory backend that has room, and makes some. */
import type { SpaceBackend } from '../../../src/core/api/backend.ts';
import type { Body, Result } from '../../../src/core/api/contract/endpoints.ts';

const CID = 'bafkr4ig4e5mbqd5yqgz7hojp6i6gtkjkqxkzktnjbf2i4uw3epjmu5yxwe';
const MIB = 2 ** 20;

const pinOf = (name: string | undefined): Result<'kb.unpin'> => ({
  ...{ cid: CID, name: name ?? null, path: 'docs/a.txt', public: false, sizeBytes: 5 },
  time: '2026-01-02T03:04:05.000Z',
});

export class MemorySpace implements SpaceBackend {
  async gc({ dryRun }: Body<'kb.gc'>): Promise<Result<'kb.gc'>> {
    const counted = { versions: 1, roots: 2, objects: 30, sizeBytes: 30 * MIB };
    return { dryRun, ...counted, bytesBefore: 64 * MIB, bytesAfter: 34 * MIB, tookMs: 5 };
  }

  async space(): Promise<Result<'kb.space'>> {
    return {
      ...{ paths: 3, versions: 7, roots: 4, objects: 50, sizeBytes: 40 * MIB, pins: 1 },
      ...{ fileBytes: 64 * MIB, usedBytes: 60 * MIB, freeBytes: 4 * MIB },
      ...{ quotaBytes: 800 * MIB, reserveBytes: 50 * MIB },
      ...{ diskBytes: 1000 * MIB, diskFreeBytes: 500 * MIB },
      ...{ isOverQuota: false, isBelowReserve: false, keepLast: null, keepForMs: null },
      ...{ isCollecting: false, lastCollection: null },
    };
  }

  async pin({ name }: Body<'kb.pin'>): Promise<Result<'kb.pin'>> {
    return { ...pinOf(name), created: true };
  }

  async unpin(): Promise<Result<'kb.unpin'>> {
    return pinOf('one');
  }

  async pins(): Promise<Result<'kb.pins'>> {
    return { pins: [pinOf('one')], next: null };
  }
}
