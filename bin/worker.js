// Entry of the worker thread that runs kernels: makes TypeScript modules and `hospes/...` importable from
// wherever the kernel lies (a loader given in a worker's execArgv is not honoured), then starts the work.
import { existsSync } from 'node:fs';
import { register as registerHooks } from 'node:module';
import { register as registerTsx } from 'tsx/esm/api';

registerTsx();
registerHooks('./resolve-hooks.js', import.meta.url);

const fromSource = existsSync(new URL('../cli/worker.ts', import.meta.url));
await import(fromSource ? '../cli/worker.ts' : '../dist/cli/worker.js');
