/**
 * Tests that need something of the host: they run where it is, are skipped by name where it is not,
 * and fail instead of being skipped under HOSPES_NO_SKIP=1, so that CI cannot lose them silently.
 */
import { spawnSync } from 'node:child_process';
import { it } from 'vitest';

/** Whether `tool` can be executed. */
export function hasTool(tool: string): boolean {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0;
}

/** Whether the C compiler finds `header`, e.g. `xen/xen.h`. */
export function hasHeader(header: string): boolean {
  const input = `#include <${header}>\n`;
  return spawnSync('gcc', ['-E', '-x', 'c', '-'], { input, stdio: 'pipe' }).status === 0;
}

/** `it`, for a test that needs `what` (the words of an install hint) to be `available`. */
export function itNeeds(
  what: string,
  available: boolean,
  name: string,
  test: () => void | Promise<void>,
): void {
  if (available) {
    it(name, test, 60_000);
  } else if (process.env['HOSPES_NO_SKIP'] === '1') {
    it(name, () => {
      throw new Error(`this test needs ${what}, and HOSPES_NO_SKIP=1 forbids skipping it`);
    });
  } else {
    it.skip(`${name} [skipped: install ${what}]`);
  }
}
