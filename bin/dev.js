#!/usr/bin/env node
// Runs the sources, without a build: Node strips the types, rolldown compiles what has JSX.
// Slower than bin/aegis.js, and it finds commands by looking at the folder.
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'rolldown/utils';

registerHooks({
  load(url, context, next) {
    if (!url.endsWith('.tsx')) return next(url, context);
    const file = fileURLToPath(url);
    const { code } = transformSync(file, readFileSync(file, 'utf8'), {
      jsx: { runtime: 'automatic' },
      sourcemap: false,
    });
    return { format: 'module', source: code, shortCircuit: true };
  },
});

const { main } = await import('../src/cli/run.ts');
await main({
  root: fileURLToPath(new URL('..', import.meta.url)),
  argv: process.argv.slice(2),
  commands: './src/commands',
});
