/**
 * Memory as a vCPU's instructions see it: through its TLB and page tables, charged as every access is. An access that
 * crosses into another page is refused before either is touched.
 */
import type { Memory } from '../memory.ts';
import { TLB_ARRAY_BYTES, TLB_ENTRIES } from '../memory.ts';
import type { Mmu } from '../mmu.ts';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE } from '../page-walk.ts';
import type { Vcpu } from '../vcpu.ts';
import { Fault, type LinearMemory } from './state.ts';

const PAGE_BYTES = 4096;

/** The address as the MMU takes it. */
export const signedNumber = (address: bigint): number => Number(BigInt.asIntN(64, address));

export class VcpuMemory implements LinearMemory {
  readonly #memory: Memory;
  readonly #mmu: Mmu;
  readonly #vcpu: Vcpu;
  /** Told of bytes that are about to change in a frame that holds decoded code. */
  readonly #onCode: (host: number, bytes: number) => void;
  /** Told of what was read or is written, for a debugger. */
  onAccess: ((va: number, bytes: number, write: boolean) => void) | undefined;

  constructor(memory: Memory, mmu: Mmu, vcpu: Vcpu, onCode: (host: number, bytes: number) => void) {
    this.#memory = memory;
    this.#mmu = mmu;
    this.#vcpu = vcpu;
    this.#onCode = onCode;
  }

  read(address: bigint, bytes: number, intent: boolean): bigint {
    const { u8 } = this.#memory;
    const va = signedNumber(address);
    const access = intent ? ACCESS_WRITE : ACCESS_READ;
    const low = this.host(va, access);
    const here = Math.min(bytes, PAGE_BYTES - (low & (PAGE_BYTES - 1)));
    const high = here < bytes ? this.host(va + here, access) : 0;
    this.onAccess?.(va, bytes, false);
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--)
      value = (value << 8n) | BigInt(u8[i < here ? low + i : high + i - here]!);
    return value;
  }

  write(address: bigint, bytes: number, value: bigint): void {
    const { u8 } = this.#memory;
    const va = signedNumber(address);
    const low = this.host(va, ACCESS_WRITE);
    const here = Math.min(bytes, PAGE_BYTES - (low & (PAGE_BYTES - 1)));
    const high = here < bytes ? this.host(va + here, ACCESS_WRITE) : 0;
    this.#touch(low, here);
    if (here < bytes) this.#touch(high, bytes - here);
    this.onAccess?.(va, bytes, true);
    for (let i = 0; i < bytes; i++)
      u8[i < here ? low + i : high + i - here] = Number((value >> BigInt(8 * i)) & 0xffn);
  }

  fetch(address: bigint, bytes: number): Uint8Array {
    const { u8 } = this.#memory;
    const va = signedNumber(address);
    const low = this.#mmu.probe(this.#vcpu, va, ACCESS_FETCH);
    if (low < 0) return u8.subarray(0, 0);
    const here = Math.min(bytes, PAGE_BYTES - (low & (PAGE_BYTES - 1)));
    if (here === bytes) return u8.subarray(low, low + bytes);
    const high = this.#mmu.probe(this.#vcpu, va + here, ACCESS_FETCH);
    if (high < 0) return u8.subarray(low, low + here);
    const joined = new Uint8Array(bytes);
    joined.set(u8.subarray(low, low + here));
    joined.set(u8.subarray(high, high + bytes - here), here);
    return joined;
  }

  refuseFetch(address: bigint): never {
    this.#mmu.probe(this.#vcpu, signedNumber(address), ACCESS_FETCH);
    throw this.#fault(address);
  }

  /** Host offset of the byte at `va`, by the TLB or else by a walk. @throws Fault */
  host(va: number, access: number): number {
    const vcpu = this.#vcpu;
    const { i32 } = this.#memory;
    const word =
      ((vcpu.tlbRead + (access === ACCESS_WRITE ? TLB_ARRAY_BYTES : 0)) >>> 2) +
      ((va >> 12) & (TLB_ENTRIES - 1)) * 4;
    if (i32[word] === (va & ~(PAGE_BYTES - 1)) && i32[word + 1] === Math.floor(va / 2 ** 32))
      return ((va | 0) + i32[word + 2]!) >>> 0;
    const marked = access === ACCESS_WRITE ? this.#mmu.marked(vcpu, va) : -1;
    const host = marked >= 0 ? marked : this.#mmu.translate(vcpu, va, access);
    if (host < 0) throw this.#fault(BigInt.asUintN(64, BigInt(va)));
    return host;
  }

  #touch(host: number, bytes: number): void {
    if (this.#memory.code[this.#memory.frameOf(host)] !== 0) this.#onCode(host, bytes);
  }

  /** What the last walk was refused for; of a fault in the second dimension the vector is FAULT_EPT. */
  #fault(address: bigint): Fault {
    return new Fault(this.#mmu.faultVector, this.#mmu.faultCode, address);
  }
}
