/**
 * The hypercall page: 128 slots of 32 bytes, slot n calling hypercall n, so that a guest need not know how that is done.
 *
 *     push %rcx; push %r11; mov $n,%eax; syscall; pop %r11; pop %rcx; ret
 *     push %rcx; push %r11; push %rax; mov $iret,%eax; syscall      slot 23, which is jumped to
 *
 * @source arch-x86/xen-x86_64.h:42; xen/arch/x86/pv/hypercall.c (the bytes)
 */
import type { Memory } from '../machine/memory.ts';
import { __HYPERVISOR_iret } from '../protocol/hypercalls.ts';
import { PAGE_SIZE } from '../protocol/units.ts';

const SLOT = 32;
const INT3 = 0xcc;
const SAVE = [0x51, 0x41, 0x53];
const SYSCALL = [0x0f, 0x05];
const RESTORE_AND_RETURN = [0x41, 0x5b, 0x59, 0xc3];
const MOV_EAX = 0xb8;
const PUSH_RAX = 0x50;

const slot = (n: number): number[] => {
  const call = [MOV_EAX, n, 0, 0, 0, ...SYSCALL];
  return n === __HYPERVISOR_iret
    ? [...SAVE, PUSH_RAX, ...call]
    : [...SAVE, ...call, ...RESTORE_AND_RETURN];
};

/** Fill frame `mfn`. */
export const writeHypercallPage = (memory: Memory, mfn: number): void => {
  const page = memory.frame(mfn).fill(INT3);
  for (let n = 0; n < PAGE_SIZE / SLOT; n++) page.set(slot(n), n * SLOT);
  memory.wrote(mfn);
};
