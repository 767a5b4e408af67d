/**
 * The hypercall page: 128 stubs of 32 bytes that Xen writes for a kernel that asks for them.
 * @source xen/arch-x86/xen-x86_64.h; Xen's pv_hypercall_page
 */
import type { Memory } from '../machine/memory.ts';

const STUB_BYTES = 32;
const STUBS = 128;
const IRET = 23;

/** Fill frame `mfn`: call stub `n` to make hypercall `n`. */
export const writeHypercallPage = (memory: Memory, mfn: number): void => {
  const page = memory.frame(mfn).fill(0xcc);
  for (let number = 0; number < STUBS; number++) {
    // iret never comes back: its frame gets rcx, r11 and rax. push rcx; push r11; [push rax;] mov n, eax; syscall
    const enter = [
      0x51,
      0x41,
      0x53,
      ...(number === IRET ? [0x50] : []),
      0xb8,
      number,
      0,
      0,
      0,
      0x0f,
      0x05,
    ];
    // pop r11; pop rcx; ret
    const leave = number === IRET ? [] : [0x41, 0x5b, 0x59, 0xc3];
    page.set([...enter, ...leave], number * STUB_BYTES);
  }
};
