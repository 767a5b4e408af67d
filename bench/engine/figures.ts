/** What the engine costs before it has executed anything: to start, and to decode. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ICOUNT } from '../../machine/vcpu.ts';
import { decode, type Operation } from '../../machine/x86/decoder.ts';
import { Engine } from '../../machine/x86/engine.ts';
import { readImage } from './elf.ts';
import { type Guest, load, newGuest, runToSyscall } from './guest.ts';
import { processorTime } from './processor-time.ts';
import { gcc } from './programs.ts';
import type { Figure, Program } from './types.ts';

const STARTS = 5;
const START = 0x400000;
const PAGES = 64;
const ROUNDS = 9;
const SYSCALL = [0x0f, 0x05];
/** Beside jumps with a displacement: what may fault with registers alone, moves the stack or goes elsewhere. */
const UNFIT = /^(i?div|push|pop|leave|enter|ret|call|jmp|ud\d|into?\d?)$/;

/** The least of some processes: what else the machine does only adds. */
export const startUp = (): Figure => {
  const program = fileURLToPath(new URL('start-up.ts', import.meta.url));
  const args = [...process.execArgv, program];
  const all = Array.from({ length: STARTS }, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`the engine does not start: ${stderr}`);
    return Number(stdout);
  });
  return {
    name: 'start-up of the engine',
    value: Math.min(...all),
    unit: 'ms',
    aim: 'less than 150',
  };
};

const isHarmless = ({ form: { row }, operands }: Operation): boolean => {
  if (row.traits.exit !== undefined || UNFIT.test(row.name)) return false;
  if (operands.some(({ kind }) => kind === 'relative')) return false;
  return row.name === 'lea' || !operands.some(({ kind }) => kind === 'memory');
};

/** The instructions of `programs` that may stand in any order: none that jumps or goes to memory. */
const harmless = (programs: readonly Program[]): Uint8Array[] => {
  const found: Uint8Array[] = [];
  const texts = programs.flatMap(({ image64 }) =>
    readImage(image64()).segments.filter(({ executable }) => executable),
  );
  for (const { bytes } of texts) {
    for (let at = 0; at < bytes.length; ) {
      const operation = decode(bytes.subarray(at, at + 15));
      if (typeof operation === 'string') break;
      const next = at + operation.length;
      if (isHarmless(operation)) found.push(bytes.subarray(at, next));
      at = next;
    }
  }
  return found;
};

/** `code` over PAGES pages, and how many instructions that are. */
const fill = (guest: Guest, code: readonly Uint8Array[]): number => {
  const bytes = new Uint8Array(PAGES * 4096);
  let [at, count] = [0, 0];
  for (;;) {
    const next = code[count % code.length]!;
    if (at + next.length + SYSCALL.length > bytes.length) break;
    bytes.set(next, at);
    at += next.length;
    count++;
  }
  bytes.set(SYSCALL, at);
  load(guest, START, bytes);
  return count + 1;
};

/** A straight line that was never executed, less the same line again. */
export const decoding = (programs: readonly Program[]): Figure => {
  const guest = newGuest();
  const { memory } = guest.machine;
  const engine = new Engine(guest.machine);
  const count = fill(guest, harmless(programs));
  const timed = (): number => {
    const from = processorTime();
    runToSyscall(engine, guest, START);
    return processorTime() - from;
  };
  const costs = Array.from({ length: ROUNDS }, () => {
    for (let page = 0; page < PAGES; page++) memory.wrote((START >> 12) + page);
    return timed() - timed();
  });
  const value = costs.toSorted((a, b) => a - b)[ROUNDS >> 1]! / count;
  return { name: 'decoding, an instruction', value, unit: 'µs', aim: 'less than 1' };
};

const MOVES = 1000;
const LOOPS = 20_000;
const MOV_RDX_RBX = [0x48, 0x89, 0xda];
const MOV_ECX = 0xb9;
const DEC_ECX = [0xff, 0xc9];
const JNZ = [0x0f, 0x85];

const word = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer);

/** A loop of register moves, beside that of an interpreter in C: what no handler can be faster than. The best of some runs each. */
export const dispatching = (directory: string): Figure => {
  const { status, stdout } = spawnSync(gcc(directory, 'dispatch', 'dispatch.c'), {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`dispatch.c ended with ${status}`);
  const guest = newGuest();
  const engine = new Engine(guest.machine);
  const body = Array.from({ length: MOVES }, () => MOV_RDX_RBX).flat();
  const back = -(body.length + DEC_ECX.length + JNZ.length + 4);
  const code = [MOV_ECX, ...word(LOOPS), ...body, ...DEC_ECX, ...JNZ, ...word(back), ...SYSCALL];
  load(guest, START, Uint8Array.from(code));
  const all = Array.from({ length: 2 * ROUNDS }, () => {
    const [from, before] = [processorTime(), guest.vcpu.get(ICOUNT)];
    runToSyscall(engine, guest, START);
    return ((processorTime() - from) * 1000) / (guest.vcpu.get(ICOUNT) - before);
  });
  return {
    name: 'a move of a register',
    value: Math.min(...all),
    unit: 'ns',
    aim: `a switch in C: ${Number(stdout).toFixed(2)}`,
  };
};
