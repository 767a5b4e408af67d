/**
 * Translation with a software TLB. A pair of arrays (read, write) per vCPU and mode; an entry's tag is the
 * page's address, its addend turns the low half of an address into a byte offset of linear memory. A page
 * stands in the write array only if nothing about a write to it is special. Zero-filled is empty, but for entry 0.
 */
import { CAUSE_TLB_MISS, CAUSE_WALK } from './account.ts';
import type { Costs } from './costs.ts';
import { type Memory, TLB_ARRAY_BYTES, TLB_ENTRIES, TLB_PAIR_BYTES } from './memory.ts';
import { ACCESS_READ, ACCESS_WRITE, PageWalk } from './page-walk.ts';
import { PTE_P, PTE_PS, pteFrame, tableIndex } from './pte.ts';
import type { Vcpu } from './vcpu.ts';

/** Tag of an empty entry 0: not page aligned, so no address has it. */
const EMPTY = 1;
/** Up to so many fills, a flush clears entry by entry. */
const SHORT_LIST = 64;

export class Mmu {
  readonly #memory: Memory;
  readonly #costs: Costs;
  readonly #walk: PageWalk;
  /** Per pair: how many fills since its last flush, and which indices the first of them took. */
  readonly #fills: Uint32Array;
  readonly #filled: Uint16Array;

  constructor(memory: Memory, costs: Costs) {
    this.#memory = memory;
    this.#costs = costs;
    this.#walk = new PageWalk(memory);
    this.#fills = new Uint32Array(memory.vcpus * 2);
    this.#filled = new Uint16Array(memory.vcpus * 2 * SHORT_LIST);
    for (let index = 0; index < memory.vcpus; index++) {
      this.#empty(memory.tlbPair(index, 0));
      this.#empty(memory.tlbPair(index, 1));
    }
  }

  /** Of the last failed translate or probe: a vector or FAULT_EPT; its error code or qualification; guest-physical address. */
  get faultVector(): number {
    return this.#walk.faultVector;
  }

  get faultCode(): number {
    return this.#walk.faultCode;
  }

  get faultGpa(): number {
    return this.#walk.faultGpa;
  }

  /** Host byte offset of `va` on a TLB miss: walks, charges the walk to the vCPU's CPU, fills the TLB. -1 on a fault. */
  translate(vcpu: Vcpu, va: number, access: number): number {
    const host = this.#walk.walk(vcpu, va, access);
    const { references } = this.#walk;
    vcpu.pcpu.chargeMany(CAUSE_WALK, references, references * this.#costs.walkReference);
    vcpu.pcpu.charge(CAUSE_TLB_MISS, this.#costs.tlbFill);
    if (host >= 0) this.#fill(vcpu, va, host, this.#walk.writable);
    return host;
  }

  /** As translate, for whoever looks at a guest's memory from outside: no charge, no TLB entry. */
  probe(vcpu: Vcpu, va: number, access: number): number {
    return this.#walk.walk(vcpu, va, access);
  }

  /** Copy from `va` through the vCPU's current tables. @returns false when a page is not readable. */
  read(vcpu: Vcpu, va: number, into: Uint8Array): boolean {
    for (let done = 0; done < into.length; ) {
      const host = this.probe(vcpu, va + done, ACCESS_READ);
      if (host < 0) return false;
      const part = Math.min(into.length - done, 4096 - (host & 4095));
      this.#copy(host, into, done, part, false);
      done += part;
    }
    return true;
  }

  /** Copy to `va`. @returns false when a page is not writable; nothing was written then. */
  write(vcpu: Vcpu, va: number, from: Uint8Array): boolean {
    // Counted from 0: beyond 2^53, which only addresses that are not canonical reach, va + 1 may be va.
    for (let done = 0; done < from.length; done += 4096 - ((va + done) & 4095)) {
      if (this.probe(vcpu, va + done, ACCESS_WRITE) < 0) return false;
    }
    for (let done = 0; done < from.length; ) {
      const host = this.probe(vcpu, va + done, ACCESS_WRITE);
      const part = Math.min(from.length - done, 4096 - (host & 4095));
      this.#copy(host, from, done, part, true);
      done += part;
    }
    return true;
  }

  /** Host offset of the level 1 entry for `va` under the L4 in frame `root`, or -1 where no 4 KiB entry exists. */
  leaf(root: number, va: number): number {
    const { u32 } = this.#memory;
    let frame = root;
    for (let level = 4; level > 1; level--) {
      const word = (this.#memory.frameAt(frame) >>> 2) + 2 * tableIndex(va, level);
      const lo = u32[word]!;
      if ((lo & PTE_P) === 0 || (lo & PTE_PS) !== 0) return -1;
      frame = pteFrame(lo, u32[word + 1]!);
    }
    return this.#memory.frameAt(frame) + 8 * tableIndex(va, 1);
  }

  /** Forget every translation of the vCPU, in both modes. */
  flush(vcpu: Vcpu): void {
    this.#flushPair(vcpu.index, 0);
    this.#flushPair(vcpu.index, 1);
  }

  flushPage(vcpu: Vcpu, va: number): void {
    this.#drop(this.#memory.tlbPair(vcpu.index, 0), (va >> 12) & (TLB_ENTRIES - 1));
    this.#drop(this.#memory.tlbPair(vcpu.index, 1), (va >> 12) & (TLB_ENTRIES - 1));
  }

  #fill(vcpu: Vcpu, va: number, host: number, writable: boolean): void {
    const index = (va >> 12) & (TLB_ENTRIES - 1);
    const word = (vcpu.tlbRead >>> 2) + index * 4;
    const { u32, i32 } = this.#memory;
    const lo = va & ~4095;
    const hi = Math.floor(va / 4294967296);
    i32[word] = lo;
    i32[word + 1] = hi;
    i32[word + 2] = (host & ~4095) - lo;
    const write = word + (TLB_ARRAY_BYTES >>> 2);
    if (writable) {
      i32[write] = lo;
      i32[write + 1] = hi;
      i32[write + 2] = (host & ~4095) - lo;
    } else if (i32[write] === lo && i32[write + 1] === hi) {
      u32[write] = index === 0 ? EMPTY : 0;
      u32[write + 1] = 0;
    }
    const pair = vcpu.index * 2 + vcpu.tlbSelected;
    const fills = this.#fills[pair]!++;
    if (fills < SHORT_LIST) this.#filled[pair * SHORT_LIST + fills] = index;
  }

  #flushPair(index: number, selected: 0 | 1): void {
    const pair = index * 2 + selected;
    const base = this.#memory.tlbPair(index, selected);
    const fills = this.#fills[pair]!;
    this.#fills[pair] = 0;
    if (fills > SHORT_LIST) {
      this.#empty(base);
      return;
    }
    for (let i = 0; i < fills; i++) this.#drop(base, this.#filled[pair * SHORT_LIST + i]!);
  }

  /** Empty entry `index` of both arrays of the pair at `base`. */
  #drop(base: number, index: number): void {
    const word = (base >>> 2) + index * 4;
    const { u32 } = this.#memory;
    u32[word] = index === 0 ? EMPTY : 0;
    u32[word + 1] = 0;
    u32[word + (TLB_ARRAY_BYTES >>> 2)] = index === 0 ? EMPTY : 0;
    u32[word + (TLB_ARRAY_BYTES >>> 2) + 1] = 0;
  }

  #empty(base: number): void {
    this.#memory.u8.fill(0, base, base + TLB_PAIR_BYTES);
    this.#memory.u32[base >>> 2] = EMPTY;
    this.#memory.u32[(base + TLB_ARRAY_BYTES) >>> 2] = EMPTY;
  }

  /** Move `part` bytes between linear memory at `host` and `bytes` from index `at`. */
  #copy(host: number, bytes: Uint8Array, at: number, part: number, out: boolean): void {
    const { u8 } = this.#memory;
    if (part > 128) {
      if (out) u8.set(bytes.subarray(at, at + part), host);
      else bytes.set(u8.subarray(host, host + part), at);
    } else if (out) {
      for (let i = 0; i < part; i++) u8[host + i] = bytes[at + i]!;
    } else {
      for (let i = 0; i < part; i++) bytes[at + i] = u8[host + i]!;
    }
  }
}
