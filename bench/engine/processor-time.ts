/** When a run in this process has had enough, and how long a call took. */
import type { Budget, Run } from './types.ts';

/** Whoever is this slow is not asked for all the runs. */
const PATIENCE_MS = 10_000;

/** Microseconds of processor time that this process has had. */
export const processorTime = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** Whether `runs` will do, the first of them begun at `started` by performance.now(). */
export const isEnough = (runs: readonly Run[], budget: Budget, started: number): boolean => {
  const elapsed = performance.now() - started;
  return runs.length >= budget.runs
    ? elapsed >= budget.seconds * 1000
    : runs.length >= 2 && elapsed >= PATIENCE_MS;
};
