/** A process that uses a share of one core for a while and does nothing with it. */
const { share, ms } = JSON.parse(process.argv[2] ?? '{}') as { share: number; ms: number };
const SLICE_MS = 10;
const end = performance.now() + ms;

function slice(): void {
  const from = performance.now();
  while (performance.now() - from < SLICE_MS * share);
  if (performance.now() < end) {
    setTimeout(slice, SLICE_MS * (1 - share));
    return;
  }
  const { user, system } = process.cpuUsage();
  process.stdout.write(`${JSON.stringify({ cpuMs: (user + system) / 1000 })}\n`);
}

slice();
