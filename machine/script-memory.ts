/**
 * Loads and stores of TypeScript code: the TLB check inline, as generated code does it, then the walk; a fault is
 * raised at the access and the access retried when its handler has returned.
 */
import { CAUSE_WORK } from './account.ts';
import { EXIT_EPT_VIOLATION } from './exit.ts';
import { type Memory, TLB_ARRAY_BYTES, TLB_ENTRIES } from './memory.ts';
import type { Mmu } from './mmu.ts';
import { ACCESS_READ, ACCESS_WRITE, FAULT_EPT } from './page-walk.ts';
import type { ScriptControl } from './script-control.ts';
import { EXIT_C, EXIT_D, type Vcpu } from './vcpu.ts';

const WRITE_WORDS = TLB_ARRAY_BYTES >>> 2;
/** Returned for an access that a hypervisor completed as MMIO: EXIT_C has the value. */
const EMULATED = -1;
const buffer = new DataView(new ArrayBuffer(8));

export class ScriptMemory {
  readonly #control: ScriptControl;
  readonly #vcpu: Vcpu;
  readonly #mmu: Mmu;
  readonly #memory: Memory;
  readonly #wordCopied: number;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;
  readonly #view: DataView;

  constructor(control: ScriptControl) {
    const { memory, mmu, costs } = control.machine;
    this.#control = control;
    this.#vcpu = control.vcpu;
    this.#mmu = mmu;
    this.#memory = memory;
    this.#wordCopied = costs.wordCopied;
    this.#u8 = memory.u8;
    this.#u16 = memory.u16;
    this.#u32 = memory.u32;
    this.#i32 = memory.i32;
    this.#view = memory.view;
  }

  load(va: number, size: 1 | 2 | 4): number {
    this.#control.tick();
    if ((va & 4095) + size > 4096) return this.#loadCrossing(va, size);
    const host = this.#host(va, ACCESS_READ);
    if (host < 0) return this.#emulated(size);
    if (size === 4)
      return (host & 3) === 0 ? this.#u32[host >>> 2]! : this.#view.getUint32(host, true);
    if (size === 1) return this.#u8[host]!;
    return (host & 1) === 0 ? this.#u16[host >>> 1]! : this.#view.getUint16(host, true);
  }

  store(va: number, size: 1 | 2 | 4, value: number): void {
    this.#control.tick();
    if ((va & 4095) + size > 4096) {
      this.#storeCrossing(va, size, value);
      return;
    }
    const host = this.#host(va, ACCESS_WRITE);
    if (host < 0) return;
    if (size === 4) this.#view.setUint32(host, value, true);
    else if (size === 1) this.#u8[host] = value;
    else this.#view.setUint16(host, value, true);
  }

  loadNumber(va: number): number {
    this.#control.tick();
    const host = (va & 4095) + 8 > 4096 ? -2 : this.#host(va, ACCESS_READ);
    if (host < 0) {
      this.#load8Bytes(va, host);
      return buffer.getInt32(4, true) * 4294967296 + buffer.getUint32(0, true);
    }
    return this.#view.getInt32(host + 4, true) * 4294967296 + this.#view.getUint32(host, true);
  }

  load64(va: number): bigint {
    this.#control.tick();
    const host = (va & 4095) + 8 > 4096 ? -2 : this.#host(va, ACCESS_READ);
    if (host < 0) {
      this.#load8Bytes(va, host);
      return buffer.getBigUint64(0, true);
    }
    return this.#view.getBigUint64(host, true);
  }

  storeNumber(va: number, value: number): void {
    this.#storeHalves(va, value >>> 0, Math.floor(value / 4294967296));
  }

  store64(va: number, value: bigint): void {
    buffer.setBigUint64(0, BigInt.asUintN(64, value), true);
    this.#storeHalves(va, buffer.getUint32(0, true), buffer.getUint32(4, true));
  }

  loadBytes(va: number, into: Uint8Array): void {
    for (let done = 0; done < into.length; ) {
      const part = Math.min(into.length - done, 4096 - ((va + done) & 4095));
      this.#control.tick();
      const host = this.#host(va + done, ACCESS_READ);
      if (host < 0) into.fill(0xff, done, done + part);
      else if (part > 64) into.set(this.#u8.subarray(host, host + part), done);
      else for (let i = 0; i < part; i++) into[done + i] = this.#u8[host + i]!;
      this.#chargeWords(part);
      done += part;
    }
  }

  storeBytes(va: number, from: Uint8Array): void {
    for (let done = 0; done < from.length; ) {
      const part = Math.min(from.length - done, 4096 - ((va + done) & 4095));
      this.#control.tick();
      const host = this.#host(va + done, ACCESS_WRITE);
      if (host >= 0) {
        if (part > 64) this.#u8.set(from.subarray(done, done + part), host);
        else for (let i = 0; i < part; i++) this.#u8[host + i] = from[done + i]!;
      }
      this.#chargeWords(part);
      done += part;
    }
  }

  fillBytes(va: number, length: number, value: number): void {
    for (let done = 0; done < length; ) {
      const part = Math.min(length - done, 4096 - ((va + done) & 4095));
      this.#control.tick();
      const host = this.#host(va + done, ACCESS_WRITE);
      if (host >= 0) this.#u8.fill(value, host, host + part);
      this.#chargeWords(part);
      done += part;
    }
  }

  /** The locked read-modify-write instructions: byte offset of an aligned operand, translated once for writing. */
  locked(va: number, size: 2 | 4): number {
    this.#control.tick();
    if ((va & (size - 1)) !== 0)
      throw new RangeError(`va: a locked operand must be ${size}-aligned`);
    const host = this.#host(va, ACCESS_WRITE);
    if (host < 0) throw new RangeError('va: a locked operand must lie in memory');
    return host;
  }

  /** Host offset of the bytes at `va` (within one page), faulting as often as it takes. EMULATED: no memory there. */
  #host(va: number, access: number): number {
    const lo = va & ~4095;
    const word =
      (this.#vcpu.tlbRead >>> 2) +
      ((va >> 12) & (TLB_ENTRIES - 1)) * 4 +
      (access === ACCESS_WRITE ? WRITE_WORDS : 0);
    const i32 = this.#i32;
    if (i32[word] === lo && i32[word + 1] === Math.floor(va / 4294967296)) {
      return ((va | 0) + i32[word + 2]!) >>> 0;
    }
    return this.#miss(va, access);
  }

  #miss(va: number, access: number): number {
    const control = this.#control;
    for (;;) {
      const host = this.#mmu.translate(this.#vcpu, va, access);
      if (host >= 0) {
        if (access === ACCESS_WRITE) this.#memory.wrote(this.#memory.frameOf(host));
        return host;
      }
      const { faultVector, faultCode, faultGpa } = this.#mmu;
      if (faultVector === FAULT_EPT) {
        control.exit(EXIT_EPT_VIOLATION, faultGpa, faultCode, va, 0);
        if (this.#vcpu.lo(EXIT_D) === 1) return EMULATED;
      } else {
        control.raise(faultVector, faultCode, va);
      }
      control.tick();
    }
  }

  #emulated(size: 1 | 2 | 4): number {
    const value = this.#vcpu.lo(EXIT_C);
    return size === 4 ? value : size === 2 ? value & 0xffff : value & 0xff;
  }

  #loadCrossing(va: number, size: 1 | 2 | 4): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.load(va + i, 1);
    return value;
  }

  #storeCrossing(va: number, size: number, value: number): void {
    // Both pages first: a store that faults has written nothing.
    this.#host(va, ACCESS_WRITE);
    this.#host(va + size - 1, ACCESS_WRITE);
    for (let i = 0; i < size; i++) this.store(va + i, 1, Math.floor(value / 2 ** (8 * i)) & 0xff);
  }

  /** Eight bytes that cross a page (`host` -2) or that a hypervisor supplies, into `buffer`. */
  #load8Bytes(va: number, host: number): void {
    if (host === EMULATED) {
      buffer.setUint32(0, this.#vcpu.lo(EXIT_C), true);
      buffer.setUint32(4, this.#vcpu.hi(EXIT_C), true);
      return;
    }
    for (let i = 0; i < 8; i++) buffer.setUint8(i, this.load(va + i, 1));
  }

  #storeHalves(va: number, lo: number, hi: number): void {
    this.#control.tick();
    if ((va & 4095) + 8 > 4096) {
      this.#host(va + 7, ACCESS_WRITE);
      this.#storeCrossing(va, 4, lo);
      this.#storeCrossing(va + 4, 4, hi >>> 0);
      return;
    }
    const host = this.#host(va, ACCESS_WRITE);
    if (host < 0) return;
    this.#view.setUint32(host, lo, true);
    this.#view.setUint32(host + 4, hi, true);
  }

  #chargeWords(bytes: number): void {
    this.#control.charge(CAUSE_WORK, Math.ceil(bytes / 8) * this.#wordCopied);
  }
}
