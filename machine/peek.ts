/**
 * Where a vCPU's current tables map an address, for a debugger: without accessed or dirty bits, without rights, without a second
 * dimension. So looking changes nothing, and user mode's memory is seen from the kernel's.
 */
import type { Memory } from './memory.ts';
import { isCanonical, PTE_P, PTE_PS, pteFrame, tableIndex } from './pte.ts';
import { CR3, type Vcpu } from './vcpu.ts';

/** @returns the host byte offset, or -1 where nothing is mapped */
export const peek = (memory: Memory, vcpu: Vcpu, va: number): number => {
  if (!isCanonical(va)) return -1;
  let frame = pteFrame(vcpu.lo(CR3), vcpu.hi(CR3));
  for (let level = 4; level > 0; level--) {
    if (frame >= memory.frames) return -1;
    const word = (memory.frameAt(frame) >>> 2) + 2 * tableIndex(va, level);
    const lo = memory.u32[word]!;
    if ((lo & PTE_P) === 0) return -1;
    frame = pteFrame(lo, memory.u32[word + 1]!);
    if (level > 1 && (lo & PTE_PS) !== 0) {
      if (level === 4) return -1;
      const pages = level === 2 ? 512 : 0x40000;
      frame = Math.floor(frame / pages) * pages + (Math.floor(va / 4096) & (pages - 1));
      break;
    }
  }
  return frame < memory.frames ? memory.frameAt(frame) + (va & 4095) : -1;
};

/** The bytes at `va`, as many as are mapped in a row, at most `bytes`. */
export const peekBytes = (memory: Memory, vcpu: Vcpu, va: number, bytes: number): Uint8Array => {
  const found = new Uint8Array(bytes);
  for (let done = 0; done < bytes; ) {
    const host = peek(memory, vcpu, va + done);
    if (host < 0) return found.subarray(0, done);
    const part = Math.min(bytes - done, 4096 - (host & 4095));
    found.set(memory.u8.subarray(host, host + part), done);
    done += part;
  }
  return found;
};
