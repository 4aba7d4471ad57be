/**
 * The keys of the one directory authority of a private network. They are made by tor's own
 * `tor-gencert` and by Node, protect nothing but a test, and end with the directory of the network.
 */
import { execFile } from 'node:child_process';
import { createHash, generateKeyPair } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AegisError } from '../../errors.ts';
import type { AuthorityPlan, MemberPlan } from './torrcs.ts';

/** Writes the keys below the authority's directory, and says by which line others know it. */
export async function makeAuthority(
  { name, dir }: MemberPlan,
  signal: AbortSignal,
): Promise<AuthorityPlan> {
  const keys = join(dir, 'keys');
  await mkdir(keys, { recursive: true, mode: 0o700 });
  const [fingerprint, v3ident] = await Promise.all([
    makeRelayIdentity(join(keys, 'secret_id_key')),
    makeCertificate(keys, signal),
  ]);
  // Last, for they are free only until somebody else takes them.
  const [orPort, dirPort] = await freePorts();
  const address = `127.0.0.1:${dirPort}`;
  const value = `${name} orport=${orPort} no-v2 v3ident=${v3ident} ${address} ${fingerprint}`;
  return { value, orPort, dirPort };
}

/** Tor's relays have RSA keys of 1024 bits; their name is the SHA-1 of the public one. */
async function makeRelayIdentity(file: string): Promise<string> {
  const options = { modulusLength: 1024, publicExponent: 65537 };
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', options);
  const pem = privateKey.export({ type: 'pkcs1', format: 'pem' });
  await writeFile(file, pem, { mode: 0o600 });
  const der = publicKey.export({ type: 'pkcs1', format: 'der' });
  return createHash('sha1').update(der).digest('hex').toUpperCase();
}

async function makeCertificate(keys: string, signal: AbortSignal): Promise<string> {
  const certificate = join(keys, 'authority_certificate');
  const files = ['-i', join(keys, 'authority_identity_key')];
  files.push('-s', join(keys, 'authority_signing_key'), '-c', certificate);
  const args = ['--create-identity-key', '-m', '12', '--passphrase-fd', '0', ...files];
  await new Promise<void>((resolve, reject) => {
    const options = { signal, timeout: 60_000 };
    const child = execFile('tor-gencert', args, options, (cause, _, stderr) => {
      if (cause === null) resolve();
      else reject(signal.aborted ? signal.reason : gencertFailed(cause, stderr));
    });
    child.stdin?.on('error', () => {});
    // It insists on a passphrase for a key that lives as long as a test.
    child.stdin?.end('private\n');
  });
  const ident = /^fingerprint ([0-9A-F]{40})$/m.exec(await readFile(certificate, 'utf8'))?.[1];
  if (ident === undefined) throw new AegisError('TOR_FAILED', 'tor-gencert made no certificate');
  return ident;
}

function gencertFailed(cause: Error, stderr: string): AegisError {
  const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
  const message = isMissing
    ? 'a private Tor network needs the program tor-gencert, which is not there'
    : 'tor-gencert could not make the keys of a private Tor network';
  const hint = isMissing ? 'It comes with Tor: apt install tor' : 'See the last lines it wrote.';
  return new AegisError('TOR_FAILED', message, {
    hint,
    cause,
    details: { lastLines: stderr.trim().split('\n').slice(-3) },
  });
}

/** Two ports that nobody has at the moment; both are held until both are known. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()] as const;
  await Promise.all(
    servers.map(
      (server) =>
        new Promise<void>((resolve, reject) => {
          server.once('error', reject).listen(0, '127.0.0.1', resolve);
        }),
    ),
  );
  const [first, second] = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return [first!, second!];
}
