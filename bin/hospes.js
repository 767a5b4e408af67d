#!/usr/bin/env node
// The launcher. In a checkout the sources lie beside it and run as they are, through tsx; in an
// installed package there are only the built ones.
import { existsSync, readFileSync } from 'node:fs';

const fromSource = existsSync(new URL('../cli/main.ts', import.meta.url));
if (fromSource) {
  const { register } = await import('tsx/esm/api');
  register();
}
const { main } = await import(fromSource ? '../cli/main.ts' : '../dist/cli/main.js');

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

process.exitCode = await main(process.argv.slice(2), {
  version,
  worker: new URL('./worker.js', import.meta.url),
  conditions: fromSource ? ['hospes-source'] : [],
});
