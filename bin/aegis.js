#!/usr/bin/env node
// Plain JavaScript that an old Node can parse, too: it must be able to say why it stops. There is
// no top-level await: after EPIPE a pending one ends the process with status 13.
import * as mod from 'node:module';

const VERSION = '0.1.0';
const { argv, env, platform, stderr, stdout, versions } = process;
const [major, minor] = versions.node.split('.').map(Number);

if (platform === 'win32') {
  stop('aegis runs on Linux and macOS', 'On Windows, install and run it inside WSL2.');
} else if (major < 24 || (major === 24 && minor < 7)) {
  runUnderOwnNode();
} else if (argv.length === 3 && (argv[2] === '--version' || argv[2] === '-V')) {
  stdout.on('error', () => {});
  stdout.write(`aegis/${VERSION} ${platform}-${process.arch} node-${process.version}\n`);
} else {
  delete env.AEGIS_REEXEC;
  // React and Ink look at these two.
  env.NODE_ENV = 'production';
  delete env.DEV;
  mod.enableCompileCache?.();
  const root = import.meta.dirname.slice(0, -'/bin'.length);
  import('../dist/run.js').then(
    ({ main }) => main({ root, argv: argv.slice(2) }),
    (error) => {
      if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
      stop(`aegis is not built: ${error.message}`, 'Run: npm run build');
    },
  );
}

/** Hands over to the Node that npm installed beside aegis, if there is one. */
function runUnderOwnNode() {
  let own;
  try {
    const resolve = mod.createRequire(import.meta.url).resolve;
    own = resolve(`node-${platform}-${process.arch}/bin/node`);
  } catch {
    // None for this platform, or left out on purpose.
  }
  // The variable is set for a child only: a platform package of a wrong version must not loop.
  if (!own || env.AEGIS_REEXEC) {
    stop(
      `aegis needs Node.js 24.7 or newer; this is ${process.version}`,
      'Install a newer Node.js, or reinstall aegis without --omit=optional.',
    );
    return;
  }
  void handOver(own);
}

async function handOver(own) {
  const { spawn } = await import('node:child_process');
  const child = spawn(own, argv.slice(1), {
    stdio: 'inherit',
    env: { ...env, AEGIS_REEXEC: '1' },
  });
  child.on('error', (error) => stop(`cannot run ${own}: ${error.message}`, 'Reinstall aegis.'));
  // A terminal signals both of us; aegis takes a signal that repeats at once for one.
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGCONT'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function stop(message, hint) {
  if (argv.includes('--json')) {
    const error = { code: 'NODE_TOO_OLD', message, hint, exit: 69, retryable: false };
    stdout.write(`${JSON.stringify({ schema: 'aegis.error/1', error })}\n`);
  } else stderr.write(`aegis: error: ${message}\naegis: hint: ${hint}\n`);
  process.exitCode = 69;
}
