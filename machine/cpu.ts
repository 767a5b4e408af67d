/**
 * What a guest kernel holds: the instructions it may execute. Addresses are canonical x86-64 addresses as
 * signed numbers; every access goes through the page tables and may fault into the kernel's own handlers.
 * What a privileged instruction does depends on mode and CPL: it executes, leaves for the hypervisor, or raises #GP.
 */

/** Code of a guest: it runs when control reaches its address, to completion, in the context that got there. */
export type Code = () => void;

export interface CpuidResult {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

export interface Cpu {
  /** The address of `code`, the same for the same function. Put it where the architecture wants a RIP: an IDT gate, a trap table, a callback, LSTAR. */
  entry(code: Code): number;

  load8(va: number): number;
  load16(va: number): number;
  load32(va: number): number;
  load64(va: number): bigint;
  store8(va: number, value: number): void;
  store16(va: number, value: number): void;
  store32(va: number, value: number): void;
  store64(va: number, value: bigint): void;
  /** A 64-bit load or store as a signed number (exact within 2^53, and for canonical addresses). */
  loadNumber(va: number): number;
  storeNumber(va: number, value: number): void;
  /** REP MOVS: copy `into.length` bytes from `va`, or `from.length` bytes to it. */
  loadBytes(va: number, into: Uint8Array): void;
  storeBytes(va: number, from: Uint8Array): void;
  /** REP STOSB. */
  fillBytes(va: number, length: number, value: number): void;

  /** LOCK XCHG, CMPXCHG, AND, OR on 32 bits (16 for the last): each returns the old value. */
  exchange32(va: number, value: number): number;
  compareExchange32(va: number, expected: number, value: number): number;
  and32(va: number, mask: number): number;
  or32(va: number, bits: number): number;
  compareExchange16(va: number, expected: number, value: number): number;

  /** A GPR (RAX = 0 … R15 = 15, as encoded) as a signed number. */
  reg(n: number): number;
  setReg(n: number, value: number): void;
  /** PUSHF: RFLAGS as it reads here. */
  flags(): number;

  /** Plain computation of `cycles`: resolves when it is done. Interrupts arrive during it, and other vCPUs may run. */
  work(cycles: number): Promise<void>;
  /** Resolves when this vCPU next runs after an instruction that gave the processor away (HLT, SCHEDOP_block, _yield, _poll). */
  resumed(): Promise<void>;
  /** The kernel's idle loop body: executed whenever the kernel has nothing else to execute. Default: STI; HLT. */
  idle(routine: Code): void;

  /** SYSCALL with RAX = `nr` and RDI RSI RDX R10 R8 R9; returns RAX. From a PV kernel it is a hypercall. */
  syscall(
    nr: number,
    a1?: number | bigint,
    a2?: number | bigint,
    a3?: number | bigint,
    a4?: number | bigint,
    a5?: number | bigint,
    a6?: number | bigint,
  ): number;
  /** VMCALL, the hypercall of a hardware-assisted guest; registers as for syscall. */
  vmcall(
    nr: number,
    a1?: number | bigint,
    a2?: number | bigint,
    a3?: number | bigint,
    a4?: number | bigint,
    a5?: number | bigint,
  ): number;
  /** SYSRET to `rip` with `rflags` (RCX and R11). */
  sysret(rip: number, rflags: number): void;
  /** IRETQ: pops RIP, CS, RFLAGS, RSP, SS from RSP and goes there. */
  iretq(): void;
  /** JMP to the address of interrupted or entered code, e.g. one read from a saved frame: abandons everything entered since. */
  jump(rip: number): void;
  /** RIP of the code that executes this: what a return address would hold. */
  here(): number;
  /** INT n. */
  int(vector: number): void;
  ud2(): void;

  cpuid(leaf: number, subleaf?: number): CpuidResult;
  rdtsc(): number;
  readCr(n: 0 | 2 | 3 | 4): number;
  writeCr(n: 0 | 2 | 3 | 4, value: number): void;
  invlpg(va: number): void;
  rdmsr(msr: number): bigint;
  wrmsr(msr: number, value: bigint): void;
  cli(): void;
  sti(): void;
  hlt(): void;
  lidt(base: number, limit: number): void;
  lgdt(base: number, limit: number): void;
  /** LTR: the TSS at `base` becomes current (RSP0 is read from its offset 4). */
  ltr(base: number): void;
  in8(port: number): number;
  in16(port: number): number;
  in32(port: number): number;
  out8(port: number, value: number): void;
  out16(port: number, value: number): void;
  out32(port: number, value: number): void;
  /** REP INSW / OUTSW of `count` words between `port` and memory at `va`. */
  insw(port: number, va: number, count: number): void;
  outsw(port: number, va: number, count: number): void;
}

/**
 * The boot record: what the loader left in a register. `startInfo` is the address of `start_info` (magic
 * "xen-3.0-x86_64", a PV domain; RSI) or of `hvm_start_info` (magic 0x336ec578, the PVH boot contract; RBX).
 */
export interface BootRecord {
  readonly startInfo: number;
}

/** A guest: its first code. The promise may settle or not; what ends a machine is a power-off. */
export type Guest = (cpu: Cpu, boot: BootRecord) => Promise<void>;
