import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { verifyEd25519 } from '../../../src/core/crypto/sign.ts';
import { hasCode } from '../../../src/core/errors.ts';
import {
  AUDIT_FAULT_BYTES_MAX,
  AUDIT_REPORT_BYTES_MAX,
  AUDIT_REQUEST_BYTES_MAX,
  type AuditReport,
  createAuditReport,
  encodeAuditRequest,
  readAuditReport,
  readAuditRequest,
} from '../../../src/core/model/audit.ts';
import { encode } from '../../../src/core/model/cbor.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { testNode } from '../../helpers/nodes.ts';
import { toHex } from '../../helpers/vectors.ts';

const CLUSTER = 'aegisc1test';
const { nodeId, signer } = testNode(1);
const sound: AuditReport = {
  clusterId: CLUSTER,
  nodeId,
  keyEpoch: 2,
  nonce: new Uint8Array(32).fill(1),
  base: 1,
  height: 9,
  digest: 'ab'.repeat(32),
  stateRoot: new Uint8Array(32).fill(2),
  verdict: 'sound',
  time: 1_800_000_000_000,
};
const fault = { height: 5, what: 'a block that does not follow' };
const damaged: AuditReport = { ...sound, verdict: 'damaged', fault };
const bytes = createAuditReport(damaged, signer);
const otherCluster = expect.toSatisfy((error) => hasCode(error, 'OTHER_CLUSTER')) as Error;

test('a request is read as it was made', () => {
  const request = { clusterId: CLUSTER, nonce: sound.nonce };
  expect(readAuditRequest(encodeAuditRequest(request), CLUSTER)).toEqual(request);
  expect(() => readAuditRequest(encodeAuditRequest(request), 'other')).toThrow(otherCluster);
  const wrong = [
    encodeAuditRequest({ ...request, nonce: new Uint8Array(31) }),
    encode({ v: 2, type: 'audit-request', ...request }),
    encode({ v: 1, type: 'audit-request', ...request, more: 1 }),
    new Uint8Array(AUDIT_REQUEST_BYTES_MAX + 1),
  ];
  for (const bad of wrong) {
    expect(onlyAegisErrors(() => readAuditRequest(bad, CLUSTER))).toBe('refused');
  }
});

test('a report is read as it was signed', () => {
  fc.assert(
    fc.property(
      fc.maxSafeNat(),
      fc.maxSafeNat(),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.option(fc.record({ height: fc.nat(), what: fc.string({ maxLength: 100 }) })),
      (base, height, root, found) => {
        const facts = { base, height, stateRoot: root, digest: toHex(sha256(root)) };
        const verdict: Pick<AuditReport, 'verdict' | 'fault'> =
          found === null ? { verdict: 'sound' } : { verdict: 'damaged', fault: found };
        const report: AuditReport = { ...sound, ...facts, ...verdict };
        const read = readAuditReport(createAuditReport(report, signer), CLUSTER);
        expect(read.report).toEqual(report);
        const { author, keyEpoch, message, signature } = read.check;
        expect([author, keyEpoch]).toEqual([nodeId, 2]);
        expect(verifyEd25519(signer.publicKey, message, signature)).toBe(true);
      },
    ),
    { numRuns: 50 },
  );
  expect(() => readAuditReport(bytes, 'aegisc1other')).toThrow(otherCluster);
});

test('the limits hold', () => {
  const verdict = (more: object) =>
    onlyAegisErrors(() => createAuditReport({ ...damaged, ...more }, signer));
  const longest = { height: 5, what: 'x'.repeat(AUDIT_FAULT_BYTES_MAX) };
  expect(verdict({ fault: longest })).toBe('accepted');
  expect(createAuditReport({ ...damaged, fault: longest }, signer).length).toBeLessThan(
    AUDIT_REPORT_BYTES_MAX,
  );
  const refused: object[] = [
    { fault: { height: 5, what: 'x'.repeat(AUDIT_FAULT_BYTES_MAX + 1) } },
    { fault: { height: -1, what: 'x' } },
    { fault: { height: 5, what: 'x', more: 1 } },
    { fault: undefined },
    { verdict: 'sound' },
    { verdict: 'fine' },
    { nonce: new Uint8Array(31) },
    { digest: 'ab' },
    { stateRoot: new Uint8Array(33) },
    { nodeId: 'somebody' },
    { height: -1 },
    { base: 1.5 },
    { time: -1 },
  ];
  for (const [at, more] of refused.entries()) expect(verdict(more), `${at}`).toBe('refused');
  expect(() => readAuditReport(new Uint8Array(AUDIT_REPORT_BYTES_MAX + 200), CLUSTER)).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'TOO_LARGE')) as Error,
  );
});

test('a mutation is refused, or does not verify', () => {
  fc.assert(
    fc.property(mutated(bytes), (bad) => {
      fc.pre(Buffer.compare(bad, bytes) !== 0);
      onlyAegisErrors(() => {
        const { message, signature } = readAuditReport(bad, CLUSTER).check;
        expect(verifyEd25519(signer.publicKey, message, signature)).toBe(false);
      });
    }),
    { numRuns: 500 },
  );
});

test('the encoding does not change with the program', () => {
  expect(toHex(sha256(bytes))).toBe(
    '7f7ebfe0cd97bcf9b331f5c623e26770496ab2a35c4b44139445e3c16d28e61f',
  );
});
