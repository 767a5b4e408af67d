/**
 * The library that a modified kernel links: typed hypercalls, events, grants, xenstore, memory,
 * time and threads, over two architectures behind one interface.
 */
export { bootKernel } from './boot.ts';
export { GrantError, KernelFault, OutOfFrames, XenError } from './errors.ts';
export type {
  AddressSpace,
  Arch,
  BootInfo,
  Clock,
  CopyEnd,
  CopySegment,
  EventChannels,
  Fault,
  FaultHandler,
  FrameAllocator,
  GrantArea,
  GrantMapping,
  Grants,
  Interrupts,
  Kernel,
  MapOptions,
  SyscallHandler,
  Thread,
  Threads,
  Traps,
} from './kernel.ts';
export { VIRT_BASE } from './layout.ts';
export { CpuRingMemory } from './ring-memory.ts';
export { Xen } from './xen.ts';
export { type StoreLink, Xenstore, XenstoreError, type XenstoreTransaction } from './xenstore.ts';
export { RingLink } from './xenstore-ring.ts';
