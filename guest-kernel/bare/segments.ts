/**
 * The descriptor tables that long mode still needs: flat segments, one TSS for the kernel stack,
 * and the IDT.
 * @source SDM vol. 3, 3.4.5 (descriptors), 6.14.1 (gates), 7.7 (TSS)
 */
import type { Cpu } from '../../machine/cpu.ts';

// The kernel's selectors are those that the loader's segments have.
export const KERNEL_CS = 0x10;
export const USER_SS = 0x28 | 3;
export const USER_CS = 0x30 | 3;
const TSS_SELECTOR = 0x40;

/**
 * SYSCALL loads CS from bits 32-47 of STAR (SS is the next); SYSRET adds 8 (SS) and 16 (CS) to bits
 * 48-63.
 */
export const STAR_VALUE = (BigInt(USER_SS - 8) << 48n) | (BigInt(KERNEL_CS) << 32n);

const TSS_OFFSET = 0x80;
const TSS_BYTES = 104;
const TSS_RSP0 = 4;
const IDT_ENTRIES = 256;
const GATE_BYTES = 16;

/**
 * High words of the flat segments: granularity, long or big, present, DPL, type; their limit is 4
 * GiB.
 */
const FLAT_SEGMENTS = [
  [KERNEL_CS, 0x00af9a00],
  [KERNEL_CS + 8, 0x00cf9200],
  [USER_SS & ~3, 0x00cff200],
  [USER_CS & ~3, 0x00affa00],
] as const;
const FLAT_LOW = 0xffff;

export class Segments {
  readonly #cpu: Cpu;
  readonly #tss: number;
  readonly #idt: number;

  /** @param tables a page for GDT and TSS. @param idt a page for the IDT. */
  constructor(cpu: Cpu, tables: number, idt: number) {
    this.#cpu = cpu;
    this.#tss = tables + TSS_OFFSET;
    this.#idt = idt;
    cpu.fillBytes(tables, 4096, 0);
    cpu.fillBytes(idt, 4096, 0);
    for (const [selector, high] of FLAT_SEGMENTS) {
      cpu.store32(tables + selector, FLAT_LOW);
      cpu.store32(tables + selector + 4, high);
    }
    this.#describeTss(tables + TSS_SELECTOR);
    cpu.lgdt(tables, TSS_SELECTOR + 15);
    cpu.ltr(this.#tss);
    cpu.lidt(idt, IDT_ENTRIES * GATE_BYTES - 1);
  }

  /** The stack for traps from user mode. */
  setKernelStack(sp: number): void {
    this.#cpu.storeNumber(this.#tss + TSS_RSP0, sp);
  }

  /** An interrupt gate: its handler begins with interrupts disabled. */
  setGate(vector: number, address: number, dpl = 0): void {
    const at = this.#idt + vector * GATE_BYTES;
    const low = address >>> 0;
    const cpu = this.#cpu;
    cpu.store32(at, ((low & 0xffff) | (KERNEL_CS << 16)) >>> 0);
    cpu.store32(at + 4, ((low & 0xffff0000) | 0x8e00 | (dpl << 13)) >>> 0);
    cpu.store32(at + 8, Math.floor(address / 4294967296) >>> 0);
    cpu.store32(at + 12, 0);
  }

  /** A 64-bit TSS descriptor: 16 bytes, available, DPL 0. */
  #describeTss(at: number): void {
    const low = this.#tss >>> 0;
    const cpu = this.#cpu;
    cpu.store32(at, (((low & 0xffff) << 16) | (TSS_BYTES - 1)) >>> 0);
    cpu.store32(at + 4, ((low & 0xff000000) | 0x8900 | ((low >>> 16) & 0xff)) >>> 0);
    cpu.store32(at + 8, Math.floor(this.#tss / 4294967296) >>> 0);
    cpu.store32(at + 12, 0);
  }
}
