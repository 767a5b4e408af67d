/**
 * Translation with a software TLB. A set of arrays (read, write, fetch) per vCPU and mode; an entry's tag is the
 * page's address, its addend turns the low half of an address into a byte offset of linear memory. A page
 * stands in the write array only if nothing about a write to it is special. The fetch array is an engine's to fill; its
 * addends are what the engine likes. Zero-filled is empty, but for the first and the last entry.
 */
import { CAUSE_TLB_MISS, CAUSE_WALK } from './account.ts';
import type { Costs } from './costs.ts';
import {
  type Memory,
  TLB_ARRAY_BYTES,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_FILL_LIST,
  TLB_FILLS,
  TLB_LISTED,
  TLB_MARKED,
} from './memory.ts';
import { ACCESS_READ, ACCESS_WRITE, PageWalk } from './page-walk.ts';
import { PTE_P, PTE_PS, pteFrame, tableIndex } from './pte.ts';
import type { Vcpu } from './vcpu.ts';

/**
 * Tag of an empty entry 0: not page aligned, so no address has it. Of the last entry, too: an access that wraps around the end
 * of the address space has its first byte there, and looks for the tag of its last, which is 0.
 */
const EMPTY = 1;

export class Mmu {
  readonly #memory: Memory;
  readonly #costs: Costs;
  readonly #walk: PageWalk;

  constructor(memory: Memory, costs: Costs) {
    this.#memory = memory;
    this.#costs = costs;
    this.#walk = new PageWalk(memory);
    for (let index = 0; index < memory.vcpus; index++) {
      this.#empty(memory.tlbSet(index, 0));
      this.#empty(memory.tlbSet(index, 1));
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
      this.#memory.wrote(this.#memory.frameOf(host));
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
    this.#flushSet(vcpu.index, 0);
    this.#flushSet(vcpu.index, 1);
  }

  flushPage(vcpu: Vcpu, va: number): void {
    this.#drop(this.#memory.tlbSet(vcpu.index, 0), (va >> 12) & (TLB_ENTRIES - 1));
    this.#drop(this.#memory.tlbSet(vcpu.index, 1), (va >> 12) & (TLB_ENTRIES - 1));
  }

  /** Put `addend` in the fetch array for the page of `va`. */
  fillFetch(vcpu: Vcpu, va: number, addend: number): void {
    const index = (va >> 12) & (TLB_ENTRIES - 1);
    const word = ((vcpu.tlbRead + 2 * TLB_ARRAY_BYTES) >>> 2) + index * 4;
    const { i32 } = this.#memory;
    i32[word] = va & ~4095;
    i32[word + 1] = Math.floor(va / 4294967296);
    i32[word + 2] = addend;
    this.#note(vcpu, index);
  }

  /** Host offset of `va` by a marked entry of the write array, or -1: nothing is charged, for it is a hit. */
  marked(vcpu: Vcpu, va: number): number {
    const { i32 } = this.#memory;
    const lo = va & ~4095;
    const word = (vcpu.tlbWrite >>> 2) + ((va >> 12) & (TLB_ENTRIES - 1)) * 4;
    if (i32[word] !== (lo | TLB_MARKED) || i32[word + 1] !== Math.floor(va / 4294967296)) return -1;
    const host = ((va | 0) + i32[word + 2]!) >>> 0;
    if (this.#memory.code[this.#memory.frameOf(host)] === 0) i32[word] = lo;
    return host;
  }

  /** Whoever writes frame `mfn` has to say so from now on. */
  markWrites(mfn: number): void {
    const { i32 } = this.#memory;
    const host = this.#memory.frameAt(mfn);
    this.#each(TLB_ARRAY_BYTES, (word) => {
      if (((i32[word]! & ~TLB_MARKED) + i32[word + 2]!) >>> 0 === host) i32[word]! |= TLB_MARKED;
    });
  }

  /** No fetch array may have `addend` any longer; without it, anything. */
  forgetFetch(addend?: number): void {
    const { i32 } = this.#memory;
    this.#each(2 * TLB_ARRAY_BYTES, (word, index) => {
      if (addend === undefined || i32[word + 2] === (addend | 0)) this.#clear(word, index);
    });
  }

  /** Every entry of one array of every set that has any, by its word. */
  #each(array: number, act: (word: number, index: number) => void): void {
    const memory = this.#memory;
    for (let set = 0; set < memory.vcpus * 2; set++) {
      const base = memory.tlbSet(set >>> 1, (set & 1) as 0 | 1);
      if (memory.u32[(base + TLB_FILLS) >>> 2] === 0) continue;
      const word = (base + array) >>> 2;
      for (let index = 0; index < TLB_ENTRIES; index++) act(word + index * 4, index);
    }
  }

  #fill(vcpu: Vcpu, va: number, host: number, writable: boolean): void {
    const index = (va >> 12) & (TLB_ENTRIES - 1);
    const word = (vcpu.tlbRead >>> 2) + index * 4;
    const { i32 } = this.#memory;
    const lo = va & ~4095;
    const hi = Math.floor(va / 4294967296);
    i32[word] = lo;
    i32[word + 1] = hi;
    i32[word + 2] = (host & ~4095) - lo;
    const write = word + (TLB_ARRAY_BYTES >>> 2);
    if (writable) {
      const mark = this.#memory.code[this.#memory.frameOf(host)] === 0 ? 0 : TLB_MARKED;
      i32[write] = lo | mark;
      i32[write + 1] = hi;
      i32[write + 2] = (host & ~4095) - lo;
    } else if ((i32[write]! & ~TLB_MARKED) === lo && i32[write + 1] === hi) {
      this.#clear(write, index);
    }
    this.#note(vcpu, index);
  }

  /** Entry `index` of the vCPU's current set is taken. */
  #note(vcpu: Vcpu, index: number): void {
    const { u16, u32 } = this.#memory;
    const base = vcpu.tlbRead;
    const fills = u32[(base + TLB_FILLS) >>> 2]!++;
    if (fills < TLB_LISTED) u16[((base + TLB_FILL_LIST) >>> 1) + fills] = index;
  }

  #flushSet(index: number, selected: 0 | 1): void {
    const { u16, u32 } = this.#memory;
    const base = this.#memory.tlbSet(index, selected);
    const count = (base + TLB_FILLS) >>> 2;
    const fills = u32[count]!;
    u32[count] = 0;
    if (fills > TLB_LISTED) {
      this.#empty(base);
      return;
    }
    for (let i = 0; i < fills; i++) this.#drop(base, u16[((base + TLB_FILL_LIST) >>> 1) + i]!);
  }

  /** Empty entry `index` of all arrays of the set at `base`. */
  #drop(base: number, index: number): void {
    for (let array = base; array < base + TLB_FILLS; array += TLB_ARRAY_BYTES)
      this.#clear((array >>> 2) + index * 4, index);
  }

  #clear(word: number, index: number): void {
    const { u32 } = this.#memory;
    u32[word] = index === 0 || index === TLB_ENTRIES - 1 ? EMPTY : 0;
    u32[word + 1] = 0;
  }

  #empty(base: number): void {
    const { u8, u32 } = this.#memory;
    u8.fill(0, base, base + TLB_FILLS);
    for (let array = base; array < base + TLB_FILLS; array += TLB_ARRAY_BYTES) {
      u32[array >>> 2] = EMPTY;
      u32[(array + TLB_ARRAY_BYTES - TLB_ENTRY_BYTES) >>> 2] = EMPTY;
    }
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
