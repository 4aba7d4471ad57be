/** What the hub of a counted jail runs: it takes one port to a socket with a path. */
import { connect, createServer } from 'node:net';

const [address = '', path = ''] = process.argv.slice(2);
const at = address.lastIndexOf(':');

createServer({ allowHalfOpen: true }, (inside) => {
  const outside = connect({ path, allowHalfOpen: true });
  inside.on('error', () => outside.destroy());
  outside.on('error', () => inside.destroy());
  inside.pipe(outside).pipe(inside);
}).listen({ host: address.slice(0, at), port: Number(address.slice(at + 1)) }, () => {
  process.stdout.write('ready\n');
});
// Whoever started it has ended.
process.stdin.on('end', () => process.exit(0)).resume();
