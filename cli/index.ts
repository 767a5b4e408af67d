/**
 * The whole machine in one call, for programs: run a kernel in a mode and get what the `hospes` command reports.
 */

export type { RunRequest } from './composition.ts';
export { runMode } from './host.ts';
export { HostFile } from './host-file.ts';
export { htmlReport } from './html-report.ts';
export { type CompiledKernel, loadCompiled } from './load-image.ts';
export { presetNames } from './options.ts';
export { Overlay } from './overlay.ts';
export { reportTable } from './report.ts';
export {
  type CauseLine,
  type Comparison,
  MODES,
  type Mode,
  type ModeResult,
  type Outcome,
} from './result.ts';
export { readTrace, TraceWriter, traceJson, traceLine } from './trace-file.ts';
