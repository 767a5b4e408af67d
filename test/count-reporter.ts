/**
 * Ends a test run with one plain line, `N passed, N failed, N skipped`. With HOSPES_NO_SKIP=1, as where every tool is
 * installed, a skipped test fails the run: it would have been checked nowhere.
 */
import type { Reporter, TestModule } from 'vitest/node';

class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    const skipped: string[] = [];
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        count[state]++;
        if (state === 'skipped') skipped.push(`${module.moduleId}: ${test.fullName}`);
      }
    }
    const strict = process.env['HOSPES_NO_SKIP'] === '1';
    if (strict && skipped.length > 0) {
      process.exitCode = 1;
      process.stdout.write(`skipped, which HOSPES_NO_SKIP=1 forbids:\n  ${skipped.join('\n  ')}\n`);
    }
    process.stdout.write(
      `${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`,
    );
  }
}

// biome-ignore lint/style/noDefaultExport: vitest takes a reporter from a file's default export.
export default CountReporter;
