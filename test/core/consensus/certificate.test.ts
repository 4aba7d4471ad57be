import { describe, expect, it } from 'vitest';
import {
  type Certificate,
  decodeCertificate,
  encodeCertificate,
  type TimeoutCertificate,
  verifyCertificate,
  verifyTimeoutCertificate,
} from '../../../src/core/consensus/certificate.ts';
import { faultyMax, quorumOf } from '../../../src/core/consensus/quorum.ts';
import { A, B, Bench } from './support/bench.ts';
import { CLUSTER_ID } from './support/cluster.ts';

describe('quorums', () => {
  it('share a custodian that follows the rules, for every size', () => {
    for (let n = 1; n <= 256; n += 1) {
      const [f, quorum] = [faultyMax(n), quorumOf(n)];
      expect(3 * f).toBeLessThan(n);
      expect(2 * quorum - n).toBeGreaterThan(f);
      expect(quorum).toBeLessThanOrEqual(n - f);
    }
  });
});

describe('a certificate', () => {
  const bench = new Bench({ custodians: 7, self: 6 });
  const holds = (certificate: Certificate, cluster = CLUSTER_ID, custodians?: number): boolean => {
    const { scheme } = bench;
    const custodiansAt = (height: number) => custodians ?? scheme.custodiansAt(height);
    return verifyCertificate(certificate, { ...scheme, custodiansAt }, cluster);
  };
  const sound = bench.certificate('commit', A, { view: 2, height: 5, signers: [0, 2, 3, 4, 6] });

  it('holds with a quorum of different custodians', () => {
    expect(holds(sound)).toBe(true);
    expect(holds(bench.certificate('commit', A, { signers: [0, 1, 2, 3, 4, 5, 6] }))).toBe(true);
  });

  it('does not hold with fewer, doubled, unknown or unordered ones', () => {
    for (const signers of [[0, 2, 3, 4], [0, 2, 3, 4, 4], [0, 2, 3, 4, 7], [2, 0, 3, 4, 6], []]) {
      const forged = bench.certificate('commit', A, {
        view: 2,
        height: 5,
        signers: signers.length === 0 ? [0] : signers,
      });
      expect(holds({ ...forged, signers })).toBe(false);
    }
  });

  it('holds for nothing but what was signed', () => {
    expect(holds({ ...sound, digest: B })).toBe(false);
    expect(holds({ ...sound, view: 3 })).toBe(false);
    expect(holds({ ...sound, height: 6 })).toBe(false);
    expect(holds({ ...sound, phase: 'prepare' })).toBe(false);
    expect(holds({ ...sound, signers: [0, 1, 3, 4, 6] })).toBe(false);
    expect(holds(sound, 'another cluster')).toBe(false);
    expect(holds(sound, CLUSTER_ID, 10)).toBe(false);
  });

  it('has one encoding', () => {
    expect(decodeCertificate(encodeCertificate(sound))).toEqual(sound);
  });
});

describe('a timeout certificate', () => {
  const bench = new Bench();
  const high = bench.certificate('prepare', A, { view: 1 });
  const older = bench.certificate('prepare', A, { view: 0 });
  const named = new Map([
    [0, undefined],
    [1, older],
    [2, high],
  ]);
  const sound = bench.timeouts(3, named);
  const holds = (certificate: TimeoutCertificate): boolean =>
    verifyTimeoutCertificate(certificate, bench.scheme, CLUSTER_ID);

  it('holds with what each of a quorum has named and the best of it', () => {
    expect(holds(sound)).toBe(true);
    expect(holds(bench.timeouts(3))).toBe(true);
  });

  it('does not hold without the certificate of the highest view that is named', () => {
    expect(holds({ ...sound, high: undefined })).toBe(false);
    expect(holds({ ...sound, high: older })).toBe(false);
    expect(holds({ ...sound, high: { ...high, digest: B } })).toBe(false);
    expect(holds({ ...sound, high: { ...high, phase: 'commit' } })).toBe(false);
    expect(holds({ ...bench.timeouts(3), high })).toBe(false);
  });

  it('does not hold for another place', () => {
    expect(holds({ ...sound, view: 4 })).toBe(false);
    expect(holds({ ...sound, height: 2 })).toBe(false);
    expect(holds(bench.timeouts(0, named))).toBe(false);
  });

  it('does not hold when somebody is counted twice or groups are out of order', () => {
    const { groups } = sound;
    expect(holds({ ...sound, groups: [groups[1]!, groups[0]!, groups[2]!] })).toBe(false);
    const twice = bench.timeouts(
      3,
      new Map([
        [0, undefined],
        [1, high],
      ]),
    );
    const doubled = [{ ...twice.groups[0]!, signers: [0, 1] }, twice.groups[1]!];
    expect(holds({ ...twice, groups: doubled })).toBe(false);
    expect(holds({ ...sound, groups: groups.slice(0, 2), high: older })).toBe(false);
  });

  it('is not verified again in what is known of it', () => {
    bench.verified.aggregate = 0;
    const isKnown = ({ digest }: Certificate): boolean => digest === A;
    expect(verifyTimeoutCertificate(sound, bench.scheme, CLUSTER_ID, isKnown)).toBe(true);
    expect(bench.verified.aggregate).toBe(1);
  });
});
