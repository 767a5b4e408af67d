/** What the engine costs before it has executed anything: to start, and to decode. */
import { decode } from '../../machine/x86/decoder.ts';
import { Engine } from '../../machine/x86/engine.ts';
import { readImage } from './elf.ts';
import { type Guest, load, newGuest, runToSyscall } from './guest.ts';
import type { Figure, Program } from './types.ts';

const START = 0x400000;
const PAGES = 64;
const ROUNDS = 9;
const SYSCALL = [0x0f, 0x05];
/** What takes registers and may fault, or writes somewhere. */
const UNFIT =
  /^(i?div|push|pop|leave|enter|ret|call|jmp|j|int|ud|hlt|syscall|loop|movs|stos|cmps|scas|lods|xlat)/;

/** Before anything else has made an engine in this process. */
export const startUp = (): Figure => {
  const { machine } = newGuest();
  const from = performance.now();
  new Engine(machine);
  const value = performance.now() - from;
  return { name: 'start-up of the engine', value, unit: 'ms', aim: 'less than 150' };
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
      const { form, operands, length } = operation;
      const memory = operands.some(({ kind }) => kind === 'memory');
      if (!UNFIT.test(form.row.name) && (!memory || form.row.name === 'lea'))
        found.push(bytes.subarray(at, at + length));
      at += length;
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
    const from = performance.now();
    runToSyscall(engine, guest, START);
    return performance.now() - from;
  };
  const costs = Array.from({ length: ROUNDS }, () => {
    for (let page = 0; page < PAGES; page++) memory.wrote((START >> 12) + page);
    return (timed() - timed()) * 1000;
  });
  const value = costs.toSorted((a, b) => a - b)[ROUNDS >> 1]! / count;
  return { name: 'decoding, an instruction', value, unit: 'µs', aim: 'less than 1' };
};
