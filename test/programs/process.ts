/** A program on a vCPU: loaded, run by the engine to its end, served what it asks a kernel for. */
import { hostCpuid } from '../../machine/cpuid.ts';
import {
  VECTOR_BP,
  VECTOR_DB,
  VECTOR_DE,
  VECTOR_PF,
  VECTOR_SS,
  VECTOR_UD,
} from '../../machine/exit.ts';
import type { Machine } from '../../machine/machine.ts';
import { ACCESS_READ } from '../../machine/page-walk.ts';
import { PF_FETCH, PF_WRITE } from '../../machine/pte.ts';
import {
  CR0,
  CR3,
  CR4,
  CS,
  EFER,
  ICOUNT,
  R8,
  R9,
  R10,
  R11,
  RAX,
  RBX,
  RCX,
  RDI,
  RDX,
  RFLAGS,
  RSI,
  RSP,
  SS,
  type Vcpu,
} from '../../machine/vcpu.ts';
import { disassembleBytes } from '../../machine/x86/disassembler.ts';
import type { Fault, Outcome } from '../../machine/x86/state.ts';
import { AddressSpace, EXECUTE, pageUp, READ, WRITE } from './address-space.ts';
import type { Calls } from './calls.ts';
import { fileCalls } from './calls-files.ts';
import { pathCalls } from './calls-paths.ts';
import { processCalls } from './calls-process.ts';
import { loadElf } from './elf.ts';
import { ENOSYS, failure } from './errno.ts';
import type { Files } from './files.ts';
import type { Frames } from './frames.ts';
import { Killed } from './killed.ts';
import { buildStack } from './stack.ts';

const calls: Calls = { ...fileCalls, ...pathCalls, ...processCalls };

/** What time it is when a program starts: 2026-01-01. */
const EPOCH = 1_767_225_600;
const SIGSEGV = 11;
const SIGXCPU = 24;
/** The signal for an exception, where it is not that. @source Linux, arch/x86/kernel/traps.c */
const SIGNALS: Readonly<Record<number, number>> = {
  [VECTOR_DE]: 8,
  [VECTOR_DB]: 5,
  [VECTOR_BP]: 5,
  [VECTOR_UD]: 4,
  [VECTOR_SS]: 7,
  16: 8,
  17: 7,
  19: 8,
};

/** Until the horizon, a fault or an exit. */
export type Execute = (vcpu: Vcpu) => Outcome;

export class Process {
  readonly vcpu: Vcpu;
  readonly space: AddressSpace;
  readonly files: Files;
  /** What each signal would do; none is ever delivered. */
  readonly actions = new Map<number, Uint8Array>();
  firstBreak = 0;
  break = 0;
  /** Of the exit. */
  status: number | undefined;
  readonly #machine: Machine;
  readonly #start: number;

  constructor(machine: Machine, frames: Frames, files: Files) {
    this.#machine = machine;
    this.files = files;
    const vcpu = machine.allocateVcpu();
    this.vcpu = vcpu;
    this.space = new AddressSpace(machine.memory, frames, (va) => machine.mmu.flushPage(vcpu, va));
    this.#start = vcpu.pcpu.now;
  }

  /** Seconds since 1970. */
  get seconds(): number {
    return EPOCH + this.cycles / (this.#machine.preset.mhz * 1e6);
  }

  get cycles(): number {
    return this.vcpu.pcpu.now - this.#start;
  }

  get instructions(): number {
    return this.vcpu.get(ICOUNT);
  }

  load(file: Uint8Array, args: readonly string[], env: Readonly<Record<string, string>>): void {
    const image = loadElf(file, this.space);
    this.break = this.firstBreak = pageUp(image.end);
    const { vcpu } = this;
    vcpu.set(CR0, 0x80050033);
    vcpu.set(CR3, this.space.root * 4096);
    vcpu.set(CR4, 0x6a0);
    vcpu.set(EFER, 0xd01);
    vcpu.set(RFLAGS, 0x202);
    vcpu.set(CS, 0x33);
    vcpu.set(SS, 0x2b);
    vcpu.cpl = 3;
    vcpu.selectTlb(1);
    vcpu.setGpr(RSP, buildStack(this.space, image, args, env));
    vcpu.rip = image.entry;
  }

  /** @returns what was wrong, if anything was, and the status as a shell shows it. */
  run(execute: Execute, cycles: number): { status: number; report: string } {
    const { pcpu } = this.vcpu;
    pcpu.horizon = pcpu.now + cycles;
    try {
      while (this.status === undefined) this.#serve(execute(this.vcpu));
      return { status: this.status, report: '' };
    } catch (thrown) {
      if (!(thrown instanceof Killed)) throw thrown;
      return { status: 128 + thrown.signal, report: `${thrown.why}; ${this.#where()}` };
    }
  }

  /** Numbers in memory. */
  words(va: number, count: number): number[] {
    const bytes = this.space.read(va, count * 8);
    return [...new BigInt64Array(bytes.buffer)].map(Number);
  }

  release(): void {
    this.files.closeAll();
    this.space.release();
    this.#machine.freeVcpu(this.vcpu);
  }

  #serve(outcome: Outcome): void {
    if (outcome.kind === 'done') throw new Killed(SIGXCPU, 'took too long');
    if (outcome.kind === 'fault') {
      if (!this.#pagedIn(outcome.fault)) throw killedBy(outcome.fault);
      return;
    }
    const { vcpu } = this;
    const next = vcpu.rip + outcome.operation.length;
    if (outcome.reason === 'syscall') {
      vcpu.setGpr(RCX, next);
      vcpu.setGpr(R11, vcpu.get(RFLAGS));
      vcpu.setGpr(RAX, this.#call());
    } else if (outcome.reason === 'cpuid') {
      const { eax, ebx, ecx, edx } = hostCpuid(vcpu.lo(RAX * 8), this.#machine.preset.mhz);
      this.#low([RAX, eax], [RBX, ebx], [RCX, ecx], [RDX, edx]);
    } else if (outcome.reason === 'rdtsc') {
      this.#low([RAX, this.cycles], [RDX, Math.floor(this.cycles / 2 ** 32)]);
    } else {
      throw new Killed(SIGSEGV, `may not execute what is left to the machine: ${outcome.reason}`);
    }
    vcpu.rip = next;
  }

  #low(...values: readonly (readonly [number, number])[]): void {
    for (const [register, value] of values) this.vcpu.setGpr(register, value >>> 0);
  }

  #pagedIn({ vector, error, address }: Fault): boolean {
    if (vector !== VECTOR_PF) return false;
    const rights = error & PF_FETCH ? EXECUTE : error & PF_WRITE ? WRITE : READ;
    return this.space.touch(Number(BigInt.asIntN(64, address)), rights);
  }

  #call(): number {
    const { vcpu } = this;
    const [number, a, b, c, d, e, f] = [RAX, RDI, RSI, RDX, R10, R8, R9].map((n) => vcpu.gpr(n));
    const call = calls[number!];
    if (call === undefined) return -ENOSYS;
    try {
      return call(this, a!, b!, c!, d!, e!, f!);
    } catch (thrown) {
      if (thrown instanceof Killed) throw thrown;
      return failure(thrown);
    }
  }

  #where(): string {
    const { rip } = this.vcpu;
    const at = `RIP ${rip.toString(16)}`;
    const { memory, mmu } = this.#machine;
    const host = mmu.probe(this.vcpu, rip, ACCESS_READ);
    if (host < 0) return at;
    const bytes = memory.u8.slice(host, Math.min(host + 15, (host | 4095) + 1));
    return `${at}: ${Buffer.from(bytes).toString('hex')}: ${disassembleBytes(bytes, BigInt(rip))}`;
  }
}

const killedBy = ({ vector, error, address }: Fault): Killed => {
  const why = `exception ${vector}, error ${error.toString(16)}, address ${address.toString(16)}`;
  return new Killed(SIGNALS[vector] ?? SIGSEGV, why);
};
