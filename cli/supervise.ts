/**
 * The main thread's side of a job: starts the worker thread, hears its reports, and is its watchdog. A kernel
 * that loops without executing an instruction makes no virtual time pass and never lets the worker look up, so only
 * another thread can end it: under `--limit` it is terminated, and the job goes on with its next run.
 */
import { Worker } from 'node:worker_threads';
import { CLOCK_CPUS, GUEST, type Job, type Report, type Run, type WorkerInput } from './job.ts';
import type { ModeResult } from './result.ts';
import { UsageError } from './usage-error.ts';

/** How `bin/` starts things: the worker's entry, and the export conditions that kernels are resolved with. */
export interface Launcher {
  readonly worker: URL;
  readonly conditions: readonly string[];
}

export interface Listener {
  begin(run: Run): void;
  say(speaker: string, bytes: Uint8Array): void;
  end(run: Run, result: ModeResult): void;
}

/** Host milliseconds without virtual progress after which a kernel counts as looping. */
const PATIENCE_MS = 5000;
const LOAD_PATIENCE_MS = 30_000;
const LOOK_MS = 250;
const LOOPED = `the kernel looped for ${PATIENCE_MS / 1000} s of host time without executing an instruction: make the loop use its Cpu`;

/** Runs all of `job`. @throws UsageError when the worker refuses it. */
export const supervise = async (
  job: Job,
  launcher: Launcher,
  listener: Listener,
): Promise<void> => {
  let done = 0;
  while (done < job.runs.length) {
    const part = new Supervision({ ...job, runs: job.runs.slice(done) }, launcher, listener);
    await part.finished;
    done += part.ended;
  }
};

class Supervision {
  ended = 0;
  readonly finished: Promise<void>;
  readonly #job: Job;
  readonly #listener: Listener;
  readonly #clocks = new SharedArrayBuffer(CLOCK_CPUS * 16);
  readonly #times = new Float64Array(this.#clocks);
  readonly #worker: Worker;
  readonly #watch: NodeJS.Timeout;
  #settle!: { resolve: () => void; reject: (error: Error) => void };
  #loaded = false;
  #running: Run | undefined;
  #stalled = false;
  #said: Uint8Array[] = [];
  #lastSign = performance.now();
  #lastTime = 0;

  constructor(job: Job, launcher: Launcher, listener: Listener) {
    this.#job = job;
    this.#listener = listener;
    this.finished = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    const workerData: WorkerInput = { job, clocks: this.#clocks };
    const execArgv = launcher.conditions.map((condition) => `--conditions=${condition}`);
    this.#worker = new Worker(launcher.worker, {
      workerData,
      execArgv,
      stdout: true,
      stderr: true,
    });
    // What a kernel prints past its console (console.log) must not mix with the report.
    this.#worker.stdout.on('data', (bytes: Uint8Array) => process.stderr.write(bytes));
    this.#worker.stderr.on('data', (bytes: Uint8Array) => process.stderr.write(bytes));
    this.#worker.on('message', (report: Report) => this.#hear(report));
    this.#worker.on('error', (error) => this.#gone(`its thread failed: ${error.message}`));
    this.#worker.on('exit', (code) => this.#gone(`its thread ended (status ${code})`));
    this.#watch = setInterval(() => this.#look(), LOOK_MS);
  }

  #hear(report: Report): void {
    this.#lastSign = performance.now();
    switch (report.kind) {
      case 'loaded':
        this.#loaded = true;
        break;
      case 'begin':
        this.#running = report.run;
        this.#said = [];
        this.#listener.begin(report.run);
        break;
      case 'console':
        if (report.speaker === GUEST) this.#said.push(report.bytes);
        this.#listener.say(report.speaker, report.bytes);
        break;
      case 'note':
        process.stderr.write(report.text);
        break;
      case 'end':
        this.#end(report.run, report.result);
        break;
      case 'refused':
        this.#finish(new UsageError(report.sentence, { cause: report.stack }));
        break;
      case 'done':
        this.#finish();
    }
  }

  #end(run: Run, result: ModeResult): void {
    this.ended++;
    this.#running = undefined;
    this.#listener.end(run, result);
  }

  /** The watchdog: is any CPU's clock later than when we last looked? */
  #look(): void {
    const time = this.#times.reduce((sum, value, i) => (i % 2 === 0 ? sum + value : sum), 0);
    const now = performance.now();
    if (time !== this.#lastTime) {
      this.#lastTime = time;
      this.#lastSign = now;
    }
    const patience = this.#loaded ? PATIENCE_MS : LOAD_PATIENCE_MS;
    const { compiled, limit } = this.#job;
    // Machine code cannot but make time pass, unless a debugger has stopped it.
    if (compiled || limit === Number.POSITIVE_INFINITY || now - this.#lastSign < patience) return;
    this.#stalled = true;
    void this.#worker.terminate();
  }

  /** The thread ended before its job did: by itself, or because we ended it. */
  #gone(why: string): void {
    if (!this.#loaded) {
      this.#finish(new UsageError(`${this.#job.kernel} does not finish loading: ${why}`));
    } else if (!this.#running) {
      this.#finish(new Error(`the thread that runs kernels failed: ${why}`));
    } else {
      const console = Buffer.concat(this.#said).toString();
      const { mode } = this.#running;
      const [outcome, reason] = this.#stalled
        ? (['limit', LOOPED] as const)
        : (['crash', why] as const);
      this.#end(this.#running, { mode, outcome, why: reason, cycles: 0, causes: [], console });
      this.#finish();
    }
  }

  #finish(error?: Error): void {
    clearInterval(this.#watch);
    this.#worker.removeAllListeners();
    void this.#worker.terminate();
    if (error) this.#settle.reject(error);
    else this.#settle.resolve();
  }
}
