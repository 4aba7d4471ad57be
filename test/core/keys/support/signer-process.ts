/**
 * A signer of the keys of a test node as a process of its own. Says READY.
 *
 *     node signer-process.ts DIR NUMBER [dies | hangs | babbles]
 *
 * Before it signs a vote, when its guard is durable, it `dies` or `hangs`; or it `babbles`.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { babblingServer, signerServer } from './signer-parts.ts';

const [dir = '', number = '1', mode = ''] = process.argv.slice(2);

function before(): void {
  if (mode === 'dies') process.kill(process.pid, 'SIGKILL');
  if (mode === 'hangs') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

mkdirSync(dir, { recursive: true, mode: 0o700 });
const socket = join(dir, 's.sock');
// Left by one that was killed.
rmSync(socket, { force: true });
const server =
  mode === 'babbles'
    ? babblingServer(Number(number))
    : signerServer(dir, Number(number), { before }).net;
server.listen(socket, () => {
  process.stdout.write('READY\n');
});
