/**
 * A CPU that has only memory and a scripted SYSCALL, for parts of the guest kernel that need no
 * more.
 */
import type { Cpu } from '../../machine/cpu.ts';

type Argument = number | bigint | undefined;

/** Memory from `base` on; every hypercall is recorded and answered by `answer`. */
export class FakeCpu {
  readonly base: number;
  readonly view: DataView;
  readonly calls: (readonly Argument[])[] = [];
  answer: (nr: number, args: readonly Argument[]) => number = () => 0;
  tsc = 0;
  /** Called before each 32-bit load, with its address. */
  beforeLoad: (va: number) => void = () => {};

  constructor(bytes: number, base = -0x80000000) {
    this.base = base;
    this.view = new DataView(new ArrayBuffer(bytes));
  }

  get cpu(): Cpu {
    return this as unknown as Cpu;
  }

  load8 = (va: number): number => this.view.getUint8(va - this.base);
  load16 = (va: number): number => this.view.getUint16(va - this.base, true);
  load32 = (va: number): number => {
    this.beforeLoad(va);
    return this.view.getUint32(va - this.base, true);
  };
  loadNumber = (va: number): number => Number(this.view.getBigInt64(va - this.base, true));
  store8 = (va: number, value: number): void => this.view.setUint8(va - this.base, value);
  store16 = (va: number, value: number): void => this.view.setUint16(va - this.base, value, true);
  store32 = (va: number, value: number): void => this.view.setUint32(va - this.base, value, true);
  storeNumber = (va: number, value: number): void =>
    this.view.setBigInt64(va - this.base, BigInt(value), true);

  loadBytes(va: number, into: Uint8Array): void {
    into.set(new Uint8Array(this.view.buffer, va - this.base, into.length));
  }

  storeBytes(va: number, from: Uint8Array): void {
    new Uint8Array(this.view.buffer).set(from, va - this.base);
  }

  fillBytes(va: number, length: number, value: number): void {
    new Uint8Array(this.view.buffer).fill(value, va - this.base, va - this.base + length);
  }

  exchange32 = (va: number, value: number): number => this.#modify(va, () => value);
  and32 = (va: number, mask: number): number => this.#modify(va, (old) => old & mask);
  or32 = (va: number, bits: number): number => this.#modify(va, (old) => old | bits);
  rdtsc = (): number => this.tsc;

  syscall(nr: number, ...args: Argument[]): number {
    this.calls.push([nr, ...args]);
    return this.answer(nr, args);
  }

  #modify(va: number, change: (old: number) => number): number {
    const old = this.view.getUint32(va - this.base, true);
    this.view.setUint32(va - this.base, change(old), true);
    return old;
  }
}
