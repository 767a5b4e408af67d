/** When a run in this process has had enough, and how long a call took. */
import type { Budget, Run } from './types.ts';

/** Whoever has taken so many seconds is not asked for all the runs. */
const PATIENCE = 10;

/** Microseconds of processor time that this process has had. */
export const processorTime = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** Whether `runs` will do. */
export const isEnough = (runs: readonly Run[], budget: Budget): boolean => {
  const seconds = runs.reduce((sum, { microseconds }) => sum + microseconds, 0) / 1e6;
  return runs.length >= budget.runs
    ? seconds >= budget.seconds
    : runs.length >= 2 && seconds >= PATIENCE;
};
