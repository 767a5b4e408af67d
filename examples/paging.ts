/** Builds an address space, takes page faults, and mends them: demand paging, then copy-on-write. */
import { defineKernel } from 'hospes/drivers';

const HEAP = 0x400000;
const PAGE = 4096;

export const kernel = defineKernel(async (k) => {
  const { console, cpu, frames } = k;
  const space = k.newAddressSpace();
  space.activate();

  const lines: string[] = [];
  const restore = k.traps.onFault(({ address, error }) => {
    const page = address - (address % PAGE);
    const old = space.translate(page);
    const fresh = frames.alloc();
    if (old < 0) {
      cpu.fillBytes(k.virt(fresh), PAGE, 0);
      lines.push(
        `fault at 0x${address.toString(16)}, error ${error}: not present, given a zeroed frame`,
      );
    } else {
      const bytes = new Uint8Array(PAGE);
      cpu.loadBytes(k.virt(old), bytes);
      cpu.storeBytes(k.virt(fresh), bytes);
      lines.push(
        `fault at 0x${address.toString(16)}, error ${error}: read-only, given a copy of its own`,
      );
    }
    space.map(page, fresh, { write: true });
  });

  cpu.store32(HEAP + 8, 42); // nothing is mapped yet: the first fault
  const shared = space.translate(HEAP);
  space.protect(HEAP, { write: false });
  space.map(HEAP + PAGE, shared); // the same frame twice, read-only
  cpu.store32(HEAP + 8, 43); // the second fault: this one gets a copy

  restore();
  for (const line of lines) await console.write(`${line}\n`);
  await console.write(
    `the copy says ${cpu.load32(HEAP + 8)}, the original still ${cpu.load32(HEAP + PAGE + 8)}\n`,
  );

  space.unmap(HEAP);
  try {
    cpu.load32(HEAP);
  } catch (error) {
    await console.write(`and now it is gone: ${(error as Error).message}\n`);
  }
  space.destroy();
});
