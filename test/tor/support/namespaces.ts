/** Whether namespaces can be made here; where they cannot, this says so once, plainly. */
import { withoutNamespaces } from './jail.ts';

const why = await withoutNamespaces();
if (why !== undefined) {
  const notice = `no network namespaces (${why}): leaks are looked for at the sockets of Node only`;
  if (process.env['AEGIS_CI_REQUIRE'] === '1') throw new Error(notice);
  process.stderr.write(`${notice}\n`);
}

export const namespaces = why === undefined;
