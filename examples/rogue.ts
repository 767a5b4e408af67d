/** Tries what no guest may do, and prints how each attempt was refused: an errno, a grant status or a fault. */
import { defineKernel, type Machine } from 'hospes/drivers';
import { GrantError, KernelFault, type Xen, XenError } from 'hospes/guest-kernel';
import * as abi from 'hospes/protocol';

const WRITABLE = 0x63n; // P, RW, A, D
const NOWHERE = 0x700000000000;
const ARGUMENT = 0x500000; // where this kernel puts its own argument lists

type Attempt = readonly [what: string, attempt: () => unknown];

const outcome = (attempt: () => unknown): string => {
  try {
    const result = attempt();
    if (typeof result !== 'number') return 'allowed';
    return result < 0 ? `-${abi.errnoName(-result)}` : `returned ${result}`;
  } catch (error) {
    if (error instanceof XenError) return `-${abi.errnoName(error.errno)}`;
    if (error instanceof GrantError) return `grant status ${error.status}`;
    if (error instanceof KernelFault) return error.message;
    throw error;
  }
};

/** Against the hypervisor's rules, as a paravirtual kernel. */
const hypercalls = (k: Machine, xen: Xen): Attempt[] => {
  const { cpu } = k;
  const { memory } = xen;
  const frame = k.frames.alloc();
  const own = BigInt(k.machineFrame(frame));
  const table = BigInt(Math.floor(cpu.readCr(3) / 4096)); // the L4: a page table of this very kernel
  const pteOf = (mfn: bigint): bigint => (mfn << 12n) | WRITABLE;
  const space = k.newAddressSpace();
  space.map(ARGUMENT, frame, { write: true });
  space.activate();
  return [
    ['map its own page table writable', () => memory.updateVaMapping(ARGUMENT, pteOf(table))],
    [
      'map a frame of the hypervisor',
      () => memory.updateVaMapping(ARGUMENT, pteOf(own + 0x100000n)),
    ],
    ['map where no page table is', () => memory.updateVaMapping(NOWHERE, pteOf(own))],
    [
      'map at an address that is not canonical',
      () => memory.updateVaMapping(0x800000000000, pteOf(own)),
    ],
    [
      'write a PTE into a frame it does not own',
      () => memory.mmuUpdate([{ ptr: 0, val: pteOf(own) }]),
    ],
    [
      'pin a page of data as an L4',
      () => memory.mmuext([{ cmd: abi.MMUEXT_PIN_L4_TABLE, arg1: Number(own) }]),
    ],
    [
      'unpin what is not pinned',
      () => memory.mmuext([{ cmd: abi.MMUEXT_UNPIN_TABLE, arg1: Number(own) }]),
    ],
    [
      'pass a list at a bad address',
      () => xen.hypercall(abi.__HYPERVISOR_mmu_update, NOWHERE, 1, 0, abi.DOMID_SELF),
    ],
    [
      'pass a huge count',
      () => xen.hypercall(abi.__HYPERVISOR_mmu_update, NOWHERE, 0x7fffffff, 0, abi.DOMID_SELF),
    ],
    ['send on a port that is not bound', () => xen.send(abi.Port(999))],
    ['bind to a domain that does not exist', () => xen.bindInterdomain(abi.Domid(77), abi.Port(1))],
    ['bind a timer twice', () => xen.bindVirq(abi.VIRQ_TIMER) && xen.bindVirq(abi.VIRQ_TIMER)],
    ['map a grant that nobody gave', () => k.grants?.map(abi.Domid(0), abi.Gref(1))],
    [
      'write to the hypervisor console',
      () => xen.hypercall(abi.__HYPERVISOR_console_io, abi.CONSOLEIO_write, 4, ARGUMENT),
    ],
    [
      'give itself more memory than its limit',
      () => memory.populatePhysmap([k.boot.pages + 1]).length,
    ],
    ['make a system-control call', () => xen.hypercall(abi.__HYPERVISOR_sysctl, ARGUMENT)],
    ['call a hypercall that does not exist', () => xen.hypercall(63)],
  ];
};

/** Against the processor's, by whatever kernel this is. */
const instructions = (k: Machine): Attempt[] => [
  ['load from an unmapped address', () => k.cpu.load32(NOWHERE)],
  ['load from a non-canonical address', () => k.cpu.load32(0x900000000000)],
  ['load from the hypervisor', () => k.cpu.load32(-0x7d0000000000)],
  ['write to the table of machine frames', () => k.cpu.store32(-0x800000000000, 0)],
  ['write an MSR that does not exist', () => k.cpu.wrmsr(0xdead, 1n)],
  ['touch I/O ports from user mode', () => k.runUser(() => void k.cpu.in8(0x60))],
  ['halt from user mode', () => k.runUser(() => k.cpu.hlt())],
];

export const kernel = defineKernel(async (k) => {
  const attempts = [...(k.xen ? hypercalls(k, k.xen) : []), ...instructions(k)];
  if (k.xen) {
    attempts.push(
      ['disable interrupts', () => k.cpu.cli()],
      ['load its own IDT', () => k.cpu.lidt(0, 0xfff)],
    );
  }
  for (const [what, attempt] of attempts) {
    await k.console.write(`${what}: ${outcome(attempt)}\n`);
  }
});
