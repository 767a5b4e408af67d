/** Code of 32 bits at level 3 under a 64-bit kernel: how it is entered and left, and what it is. */
import { describe, expect } from 'vitest';
import { R8, R9, R11, R12, R13, RAX, RBX, RCX, RDX, RSP } from '../../../machine/vcpu.ts';
import { DATA, it, KERNEL_STACK, runCode, STACK } from './code-fixture.ts';

const USER_STACK = STACK - 0x800;
/** By IRETQ to label `user`, in the 32-bit segment of level 3. */
const TO_USER = `push $27; push $${USER_STACK}; push $0x202; push $67; push $user; iretq`;

describe('compatibility mode', () => {
  it('has registers, stack and addresses of 32 bits, INC for REX, and goes back by INT', async () => {
    const ran = await runCode(
      `movabs $0x1234567800000007, %rax; mov %rax, %rbx
       ${TO_USER}
       .code32
       user: inc %eax; pusha; popa; push %cs; pop %ecx
       mov $1f, %edx; call *%edx; mov $-1, %edi; movl $5, ${DATA + 1}(%edi); int $0x40
       1: push $0x11223344; popl ${DATA + 8}; ret
       .code64
       h: mov %rsp, %r8; pop %r9; pop %r10; hlt`,
      { gates: '64:h:3' },
    );
    expect([ran.reg(RAX), ran.reg(RCX), ran.reg(R8)]).toEqual([8n, 67n, BigInt(KERNEL_STACK - 40)]);
    expect(ran.word(DATA)).toBe(5n);
    expect(ran.word(DATA + 8) & 0xffffffffn).toBe(0x11223344n);
  });

  it('is left and entered by far jumps and calls, and by a far return', async () => {
    const ran = await runCode(
      `${TO_USER}
       .code32
       user: mov %esp, %ebx; lcall $35, $long; mov %esp, %ecx; ljmp $35, $there
       .code64
       long: mov %cs, %r8d; mov %rsp, %rdx; lretl
       there: mov %cs, %r9d; push $67; push $back; rex.w lret
       .code32
       back: mov %cs, %eax; hlt
       .code64
       h: mov %rax, %r12; hlt`,
      { gates: '13:h' },
    );
    const stack = BigInt(USER_STACK);
    expect([ran.reg(RBX), ran.reg(RCX), ran.reg(RDX)]).toEqual([stack, stack, stack - 8n]);
    expect([ran.reg(R8), ran.reg(R9), ran.reg(R12)]).toEqual([35n, 35n, 67n]);
  });

  it('is where SYSRET without REX.W goes; SYSENTER leaves it, SYSCALL is not there', async () => {
    const ran = await runCode(
      `mov $0xc0000081, %ecx; xor %eax, %eax; mov $${(64 << 16) | 8}, %edx; wrmsr
       mov $0x174, %ecx; mov $8, %eax; xor %edx, %edx; wrmsr
       inc %ecx; mov $${KERNEL_STACK}, %eax; wrmsr
       inc %ecx; mov $entry, %eax; wrmsr
       mov $user, %ecx; mov $0x202, %r11d; mov $${USER_STACK}, %esp; sysretl
       .code32
       user: mov %cs, %ebx; syscall
       after: mov %esp, %edx; sysenter
       .code64
       ud: mov $1, %r12d; addq $after - user - 2, (%rsp); iretq
       entry: mov %cs, %r8d; mov $1, %r13d; hlt`,
      { gates: '6:ud' },
    );
    expect([ran.reg(RBX), ran.reg(R12), ran.reg(R8), ran.reg(R13)]).toEqual([67n, 1n, 8n, 1n]);
    expect([ran.reg(RDX), ran.reg(RSP)]).toEqual([BigInt(USER_STACK), BigInt(KERNEL_STACK)]);
  });

  it('has BOUND, INTO and far pointers into ES and DS', async () => {
    const ran = await runCode(
      `movl $3, ${DATA}; movl $5, ${DATA + 4}; movl $0x1234, ${DATA + 16}; movw $27, ${DATA + 20}
       ${TO_USER}
       .code32
       user: mov $5, %eax; bound %eax, ${DATA}; inc %eax; les ${DATA + 16}, %ecx; mov %es, %edx
       push %es; pop %ds
       fault: bound %eax, ${DATA}
       after: mov $0x7fffffff, %ebx; inc %ebx; into; hlt
       .code64
       br: inc %r8d; addq $after - fault, (%rsp); iretq
       of: inc %r9d; iretq
       h: hlt`,
      { gates: '5:br 4:of:3 13:h' },
    );
    expect([ran.reg(RAX), ran.reg(RCX), ran.reg(RDX)]).toEqual([6n, 0x1234n, 27n]);
    expect([ran.reg(R8), ran.reg(R9)]).toEqual([1n, 1n]);
  });

  it('is not where an address beyond 4 GiB is: #GP', async () => {
    const ran = await runCode(
      `push $27; push $${USER_STACK}; push $2; push $67; movabs $0x100000000, %rax; push %rax; iretq
       h: pop %r11; hlt`,
      { gates: '13:h' },
    );
    expect(ran.reg(R11)).toBe(0n);
  });
});
