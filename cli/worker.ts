/**
 * The worker thread: loads the kernel and does the job's runs one after the other, reporting as it goes. It may
 * be terminated at any instant by the watchdog (supervise.ts).
 */
import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { DEFAULT_PRESET, presetNamed } from '../machine/presets.ts';
import type { TraceRecord } from '../machine/trace.ts';
import type { RunRequest } from './composition.ts';
import { type Drives, openDisks } from './disks.ts';
import { runMode } from './host.ts';
import type { Job, Report, Run, WorkerInput } from './job.ts';
import { loadKernel } from './load-kernel.ts';
import type { ModeResult } from './result.ts';
import { TraceWriter } from './trace-file.ts';
import { UsageError } from './usage-error.ts';
import { Witness } from './witness.ts';

/** Who is told of promises that a kernel left rejected. */
let current: Witness | undefined;
process.on('unhandledRejection', (error) => {
  if (!current) throw error;
  current.rejected(error);
});

const report = (message: Report): void => parentPort?.postMessage(message);
const note = (text: string): void => report({ kind: 'note', text });

const work = async ({ job, clocks }: WorkerInput): Promise<void> => {
  const disks = openDisks(job);
  const guest = await kernelOf(job);
  report({ kind: 'loaded' });
  for (const run of job.runs) {
    report({ kind: 'begin', run });
    const result = await runOnce(job, run, guest, disks(), clocks);
    report({ kind: 'end', run, result });
  }
  report({ kind: 'done' });
};

const kernelOf = async ({ kernel, compiled, ramdisk }: Job): Promise<RunRequest['guest']> => {
  if (!compiled) return await loadKernel(kernel);
  const { loadCompiled } = await import('./load-image.ts');
  return loadCompiled(kernel, ramdisk);
};

const runOnce = async (
  job: Job,
  run: Run,
  guest: RunRequest['guest'],
  disks: Drives,
  clocks: SharedArrayBuffer,
): Promise<ModeResult> => {
  const header = { kernel: job.kernel, preset: run.preset, mode: run.mode };
  const trace = job.trace === undefined ? undefined : new TraceWriter(job.trace, header);
  const debug =
    job.debug && typeof guest !== 'function'
      ? await (await import('./debug-run.ts')).prepareDebugger(job.debug, guest.symbols, note)
      : undefined;
  const witness = typeof guest === 'function' ? new Witness(guest) : undefined;
  current = witness;
  try {
    const result = await runMode(run.mode, {
      ...{
        guest: witness?.guest ?? guest,
        preset: presetNamed(run.preset) ?? DEFAULT_PRESET,
        memoryBytes: job.memoryBytes,
      },
      ...{ vcpus: job.vcpus, disks, limit: job.limit, clocks },
      ...(job.cmdline === undefined ? {} : { cmdline: job.cmdline }),
      ...(witness ? { onGuest: witness.attach } : {}),
      ...(debug ? { debug } : {}),
      onNote: note,
      ...(trace ? { trace: (record: TraceRecord) => trace.write(record) } : {}),
      onConsole: (speaker, bytes) => report({ kind: 'console', speaker, bytes }),
    });
    await setImmediate();
    return witness?.correct(result, job.kernel) ?? result;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const sentence = `mode ${run.mode} cannot start: ${error.message}; give another --memory`;
    throw new UsageError(sentence, { cause: error });
  } finally {
    trace?.close();
  }
};

const refuse = (error: unknown): void => {
  if (!(error instanceof UsageError)) throw error;
  const { stack } = error.cause instanceof Error ? error.cause : error;
  report({ kind: 'refused', sentence: error.message, ...(stack === undefined ? {} : { stack }) });
};

await work(workerData as WorkerInput).catch(refuse);
