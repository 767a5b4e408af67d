/** The machine's memory as its own bus master sees it: by machine address, all of it. */

import { PAGE_SIZE } from '../protocol/units.ts';
import type { DmaMemory } from './ide-bus-master.ts';
import type { Memory } from './memory.ts';

export const physicalMemory = (memory: Memory): DmaMemory => {
  const size = memory.frames * PAGE_SIZE;
  const within = (pa: number, length: number): boolean => pa >= 0 && pa + length <= size;
  return {
    read: (pa, into) => {
      if (!within(pa, into.length)) return false;
      const at = memory.frameBase + pa;
      into.set(memory.u8.subarray(at, at + into.length));
      return true;
    },
    write: (pa, from) => {
      if (!within(pa, from.length)) return false;
      memory.u8.set(from, memory.frameBase + pa);
      const last = Math.floor((pa + from.length - 1) / PAGE_SIZE);
      for (let mfn = Math.floor(pa / PAGE_SIZE); mfn <= last; mfn++) memory.wrote(mfn);
      return true;
    },
  };
};
