/** Fixed amounts of what kernels do all day, so that modes can be compared by what each of them costs. */
import { defineKernel } from 'hospes/drivers';

const SYSTEM_CALLS = 2000;
const PAGE_FAULTS = 500;
const MAPPINGS = 1000;
const CONTEXT_SWITCHES = 400;
const DISK_READS = 64;

const HEAP = 0x10000000;
const PAGE = 4096;

export const kernel = defineKernel(async (k) => {
  const { console, cpu, frames } = k;
  const done = (what: string): Promise<void> => console.write(`${what}\n`);

  let calls = 0;
  k.traps.onSyscall((nr, argument) => {
    calls += nr === 1 ? argument : 0;
    return calls;
  });
  k.runUser(() => {
    for (let i = 0; i < SYSTEM_CALLS; i++) cpu.syscall(1, 1);
  });
  await done(`${calls} system calls`);

  const first = k.newAddressSpace();
  const second = k.newAddressSpace();
  first.activate();

  let faults = 0;
  const restore = k.traps.onFault(({ address }) => {
    faults++;
    first.map(address - (address % PAGE), frames.alloc(), { write: true });
  });
  for (let i = 0; i < PAGE_FAULTS; i++) cpu.store32(HEAP + i * PAGE, i);
  restore();
  for (let i = 0; i < PAGE_FAULTS; i++) frames.free(first.unmap(HEAP + i * PAGE));
  await done(`${faults} page faults`);

  const some = Array.from({ length: 50 }, () => frames.alloc());
  for (let made = 0; made < MAPPINGS; made += some.length) {
    first.mapMany(HEAP, some, { write: true });
    first.unmapMany(HEAP, some.length);
  }
  for (const pfn of some) frames.free(pfn);
  await done(`${MAPPINGS} mappings made and torn down`);

  for (let i = 0; i < CONTEXT_SWITCHES; i += 2) {
    second.activate();
    first.activate();
  }
  await done(`${CONTEXT_SWITCHES} context switches`);

  const [disk] = await k.disks();
  if (disk) {
    for (let i = 0; i < DISK_READS; i++) await disk.read((i * 8) % (disk.sectors - 7), 8);
    await done(`${DISK_READS} disk reads`);
  }
  first.destroy();
  second.destroy();
});
