import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('.', import.meta.url));

export default defineConfig({
  // `hospes/drivers` in a test or an example is the source beside it.
  resolve: { alias: [{ find: /^hospes\/([a-z/-]+)$/, replacement: `${root}$1/index.ts` }] },
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/setup.ts'],
    reporters: ['default', './test/count-reporter.ts'],
    testTimeout: 60_000,
    pool: 'forks',
    // One less would leave a machine with two processors half idle.
    maxWorkers: '100%',
  },
});
