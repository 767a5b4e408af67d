/**
 * A child process that is talked to synchronously, in frames: a u32 length, then as many bytes.
 * The one idea: standard input and output are FIFOs whose near ends never block. So the child's silence ends at a
 * deadline, and its death is an end of file. The child leads a process group, which is killed as one.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { constants as system, tmpdir } from 'node:os';
import { join } from 'node:path';
import { PeerFault } from '../protocol/conformance/peer.ts';

/** The longest frame. */
export const FRAME_BYTES = 1 << 16;

const HEAD_BYTES = 4;
const SPIN_MS = 2; // an answer mostly comes within microseconds, and to sleep takes longer
const NAP_MS = 0.2;
const WORDS_LINES = 3;
const WORDS_BYTES = 400;
// The outer shell outlives the command, in order to note how it ended before the pipe closes.
const SCRIPT = 'sh -c "$1" sh "$HOSPES_RING"; echo $? >"$2"';

const running = new Set<ProcessPipe>();
const endAll = (): void => {
  for (const pipe of running) pipe.end();
};

export class ProcessPipe {
  /** The ring's file, open to read and write. */
  readonly ring: number;
  readonly #directory = mkdtempSync(join(tmpdir(), 'hospes-peer-'));
  readonly #child: ChildProcess;
  readonly #input: number; // the child's
  readonly #output: number;
  readonly #outgoing = Buffer.allocUnsafe(HEAD_BYTES + FRAME_BYTES);
  readonly #incoming = Buffer.allocUnsafe(HEAD_BYTES + FRAME_BYTES);
  readonly #nap = new Int32Array(new SharedArrayBuffer(4));
  #have = 0; // bytes of `#incoming`

  /**
   * Runs `command` in a shell, with the path of a file of `ringBytes` zeros as last argument and in HOSPES_RING.
   * @throws PeerFault
   */
  constructor(command: string, ringBytes: number) {
    const [input, output] = [this.#path('stdin'), this.#path('stdout')];
    const made = spawnSync('mkfifo', ['-m', '600', input, output], { encoding: 'utf8' });
    if (made.status !== 0) {
      rmSync(this.#directory, { recursive: true });
      const why = made.error?.message ?? made.stderr.trim();
      throw new PeerFault(`a process cannot be tested here, because mkfifo fails: ${why}`);
    }
    this.ring = openSync(this.#path('ring'), 'wx+', 0o600);
    writeSync(this.ring, new Uint8Array(ringBytes));
    // In this order no open waits for the other side.
    this.#output = openSync(output, constants.O_RDONLY | constants.O_NONBLOCK);
    const childOutput = openSync(output, constants.O_WRONLY);
    const both = openSync(input, constants.O_RDWR);
    const childInput = openSync(input, constants.O_RDONLY);
    this.#input = openSync(input, constants.O_WRONLY | constants.O_NONBLOCK);
    const childError = openSync(this.#path('stderr'), 'w', 0o600);
    this.#child = spawn('/bin/sh', ['-c', SCRIPT, 'sh', runnable(command), this.#path('status')], {
      stdio: [childInput, childOutput, childError],
      env: { ...process.env, HOSPES_RING: this.#path('ring') },
      detached: true,
    });
    this.#child.on('error', () => undefined); // the pipe's end says it
    this.#child.unref();
    for (const fd of [childOutput, both, childInput, childError]) closeSync(fd);
    if (running.size === 0) process.on('exit', endAll);
    running.add(this);
  }

  /** Sends one frame. `where` is what the peer is at, for the sentence of a fault. @throws PeerFault */
  send(body: Uint8Array, where: string, patience: number): void {
    this.#outgoing.writeUInt32LE(body.length, 0);
    this.#outgoing.set(body, HEAD_BYTES);
    const length = HEAD_BYTES + body.length;
    let sent = 0;
    this.#until(where, patience, () => {
      const went = attempt(() => writeSync(this.#input, this.#outgoing, sent, length - sent));
      if (went === 0) this.#died(where);
      sent += Math.max(went, 0);
      return sent === length;
    });
  }

  /** The next frame's body, which stays as it is until the next call. @throws PeerFault */
  receive(where: string, patience: number): Buffer {
    let end = HEAD_BYTES;
    this.#until(where, patience, () => {
      if (this.#have < end) this.#read(where);
      if (end === HEAD_BYTES && this.#have >= end) end += this.#frameLength(where);
      return this.#have >= end && end > HEAD_BYTES;
    });
    if (this.#have > end) throw new PeerFault(`the peer says more than it was asked for ${where}`);
    this.#have = 0;
    return this.#incoming.subarray(HEAD_BYTES, end);
  }

  /** Kills the child with its group, and removes everything. May be called again. */
  end(): void {
    if (!running.delete(this)) return;
    if (running.size === 0) process.off('exit', endAll);
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL');
    } catch {} // it is gone already
    for (const fd of [this.#input, this.#output, this.ring]) closeSync(fd);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #read(where: string): void {
    const room = this.#incoming.length - this.#have;
    const got = attempt(() => readSync(this.#output, this.#incoming, this.#have, room, null));
    if (got === 0) this.#died(where);
    this.#have += Math.max(got, 0);
  }

  #frameLength(where: string): number {
    const length = this.#incoming.readUInt32LE(0);
    if (length > 0 && length <= FRAME_BYTES) return length;
    const text = this.#incoming.toString('latin1', 0, HEAD_BYTES);
    const printed = /^[\t\n\r -~]+$/.test(text)
      ? `: it prints ${JSON.stringify(text)}… to standard output, which is for frames`
      : `, but a frame has 1 to ${FRAME_BYTES}`;
    throw new PeerFault(`the peer sends a frame of ${length} bytes ${where}${printed}`);
  }

  /** Tries again and again, at first without a pause, until `done` or too late. */
  #until(where: string, patience: number, done: () => boolean): void {
    if (done()) return;
    const start = performance.now();
    while (!done()) {
      const waited = performance.now() - start;
      if (waited > patience) this.#late(where, patience);
      if (waited > SPIN_MS) Atomics.wait(this.#nap, 0, 0, NAP_MS);
    }
  }

  #late(where: string, patience: number): never {
    // Something that the command left running keeps the pipe open.
    if (this.#text('status') !== '') this.#died(where);
    const part =
      this.#have > 0 ? `, in the middle of a frame (${this.#have} bytes of it came)` : '';
    throw new PeerFault(`the peer hangs ${where}: it is silent for ${patience / 1000} s${part}`);
  }

  #died(where: string): never {
    const status = this.#text('status');
    const part = this.#have > 0 ? ', in the middle of a frame' : '';
    const how = status === '' ? '' : `, with status ${status}${signalOf(Number(status))}`;
    const words = this.#text('stderr').slice(-WORDS_BYTES).split('\n').slice(-WORDS_LINES);
    const last = words.join('').trim() === '' ? '' : `; its last words: ${words.join(' | ')}`;
    throw new PeerFault(`the peer died ${where}${part}${how}${last}`);
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  #text(name: string): string {
    try {
      return readFileSync(this.#path(name), 'utf8').trim();
    } catch {
      return '';
    }
  }
}

/**
 * The bytes that a transfer moved; -1 if it would have to wait, 0 if the other side is gone. Waiting is told by an
 * exception, and to gather its stack takes longer than everything else, so none is gathered.
 */
const attempt = (transfer: () => number): number => {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return transfer();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EAGAIN') return -1;
    if (code === 'EPIPE') return 0;
    throw error;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
};

const runnable = (command: string): string => `${command.trim()} "$@"`;

/** A shell says of a command that signal N ended that its status was 128 + N. */
const signalOf = (status: number): string => {
  const name = Object.entries(system.signals).find(([, number]) => number === status - 128)?.[0];
  return name ? ` (${name})` : '';
};
