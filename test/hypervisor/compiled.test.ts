/** Compiled PV kernels that go wrong end with a reason that says where; and what only the hypervisor sees of them. */
import { describe, expect } from 'vitest';
import type { Domain } from '../../hypervisor/domain.ts';
import { writeHypercallPage } from '../../hypervisor/hypercall-page.ts';
import { parseImage } from '../../hypervisor/image.ts';
import { R12, R13, RBP, RBX } from '../../machine/vcpu.ts';
import { assembleKernel, canCompileKernels, KERNEL_TOOLS } from '../support/c-kernel.ts';
import { PvHost } from '../support/pv-fixture.ts';
import { itNeeds } from '../support/tools.ts';

const it = (name: string, test: () => Promise<void>): void =>
  itNeeds(KERNEL_TOOLS, canCompileKernels, name, test);

/** Hypercall `nr`, its arguments in registers. */
const call = (nr: number): string => `mov $${nr}, %eax; syscall`;
/** A trap table with `handler` for `vector`. */
const trap = (vector: number, handler: string): string =>
  `lea table(%rip), %rdi; ${call(0)}; jmp 1f
   .balign 8; table: .byte ${vector}, 4; .short 0xe033; .long 0; .quad ${handler}, 0, 0
   1:`;

/** Run `code` on a host that another domain runs on, too: which must not notice. */
const run = async (code: string): Promise<{ host: PvHost; domain: Domain; why: string }> => {
  const host = new PvHost();
  let survived = false;
  host.machine.limit = 50_000_000;
  const image = parseImage(assembleKernel(code));
  const domain = host.xen.create({ name: 'compiled', kind: 'pv', image, memoryBytes: 4 << 20 });
  host.add(async ({ cpu }) => {
    await cpu.work(10_000);
    survived = true;
  });
  host.xen.unpause(domain);
  await host.run();
  expect(survived).toBe(true);
  return { host, domain, why: domain.end?.why ?? 'it goes on' };
};

describe('the crash of a compiled kernel', () => {
  for (const [what, code, reason] of [
    [
      'a page fault without a handler',
      'mov $0x1234000, %ebx; mov 8(%rbx,%rcx,2), %rax',
      /no handler for #PF \(error code 0x0, address 0x1234008, rip 0x1010\w\w: mov rax, qword ptr \[rbx\+rcx\*2\+0x8\]\)/,
    ],
    [
      'a jump to what is no address',
      'movabs $0x1234000000000000, %rax; jmp *%rax',
      /no handler for #GP \(error code 0x0, address 0x0, rip 0x\w+: jmp rax\)/,
    ],
    [
      'running into data',
      'jmp 1f; 1: .byte 0x0f, 0x04, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc',
      /no handler for #UD \(.* rip 0x\w+: no known instruction, bytes 0f 04 12 34 56 78 9a bc\)/,
    ],
    [
      'running into nothing',
      'mov $0x7000000, %eax; jmp *%rax',
      /no handler for #PF \(error code 0x10, address 0x7000000, rip 0x7000000: no code\)/,
    ],
    ['a privileged instruction', 'cli', /no handler for #GP \(.*: cli\)/],
    [
      'a stack in Xen',
      `${trap(6, 'h')} movabs $0xffff820000000000, %rsp; h: ud2`,
      /its stack cannot take #UD/,
    ],
    ['a handler that faults for ever', `${trap(6, 'h')} h: ud2`, /its stack cannot take #UD/],
    [
      'a handler that is nowhere',
      `${trap(14, '0x5000000')} mov 0, %rax; mov 0x6000000, %rax`,
      /its stack cannot take #PF/,
    ],
    [
      '32-bit code',
      'push $0xe02b; push $0; push $2; push $0xe023; lea 1f(%rip), %rax; push %rax; iretq; .code32; 1: push %eax',
      /no handler for #PF \(error code 0x2, address 0xfffffffc, rip 0x\w+: push eax\)/,
    ],
    [
      'a return to a user mode that is not there',
      `push $0xe02b; push $0; push $2; push $0xe033; push $0; push $0; push $0; push $0; push $0; ${call(23)}`,
      /iret to user mode without a user page table/,
    ],
  ] as const) {
    it(`says where: ${what}`, async () => {
      const { domain, why } = await run(code);
      expect(domain.end?.outcome).toBe('crash');
      expect(why).toMatch(reason);
    });
  }
});

describe('a compiled kernel', () => {
  it('gets its hypercall page by WRMSR, too', async () => {
    const { host, domain } = await run(
      `lea page(%rip), %rbx; mov %rbx, %rax; shr $12, %rax
       mov 104(%rsi), %rdx; mov (%rdx,%rax,8), %rax
       mov %rax, %r12; shl $12, %rax; mov %rax, %rdx; shr $32, %rdx; mov $0x40000000, %ecx; wrmsr
       sub $16, %rsp; movl $0, (%rsp); mov $2, %edi; mov %rsp, %rsi; call page + 29 * 32
       .data; .balign 4096; page: .skip 4096`,
    );
    expect(domain.end?.why).toBe('the guest powered itself off');
    const { memory } = host.machine;
    const mfn = Number(domain.vcpus[0]!.arch.getBig(R12 << 3));
    const found = memory.frame(mfn).slice();
    writeHypercallPage(memory, mfn);
    expect(found).toEqual(memory.frame(mfn).slice());
    expect([...found.subarray(23 * 32, 23 * 32 + 11)]).toEqual([
      ...[0x51, 0x41, 0x53, 0x50, 0xb8, 23, 0, 0, 0, 0x0f, 0x05],
    ]);
  });

  it('has 32-bit user mode, which traps into 64-bit code', async () => {
    const { domain } = await run(
      `mov %cr3, %rax; shr $12, %rax; mov %rax, op + 8(%rip)
       lea op(%rip), %rdi; mov $1, %esi; xor %edx, %edx; mov $0x7ff0, %r10d; ${call(26)}
       lea table(%rip), %rdi; ${call(0)}
       mov %rsp, %rdx; push $0xe02b; push %rdx; push $0x202; push $0xe023
       lea user(%rip), %rax; push %rax; push $0; push $0; push $0; push $0x1234; ${call(23)}
       .code32
       user: inc %eax; push %eax; pop %ebx; int $0x80; again: dec %ebx; push %cs; pop %esi; int $0x81
       .code64
       first: lea again(%rip), %r13; mov 16(%rsp), %r12; mov 24(%rsp), %ebp
       push 0x30(%rsp); push 0x30(%rsp); push 0x30(%rsp); push 0x30(%rsp); push 0x30(%rsp)
       push $0; push $0; push $0; push %rax; ${call(23)}
       second: sub $16, %rsp; movl $0, (%rsp); mov $2, %edi; mov %rsp, %rsi; ${call(29)}
       .data; .balign 8
       op: .long 15, 0; .quad 0, 0
       table: .byte 0x80, 3; .short 0xe033; .long 0; .quad first
       .byte 0x81, 3; .short 0xe033; .long 0; .quad second; .quad 0, 0`,
    );
    expect(domain.end?.why).toBe('the guest powered itself off');
    const { arch } = domain.vcpus[0]!;
    expect([RBX, RBP].map((r) => arch.getBig(r << 3))).toEqual([0x1234n, 0xe023n]);
    expect(arch.getBig(R12 << 3)).toBe(arch.getBig(R13 << 3));
  });

  it('is preempted in an endless loop, and can be destroyed there', async () => {
    const { host, domain } = await run('jmp .');
    expect(domain.end).toBeUndefined();
    host.xen.destroy(domain);
    expect(host.xen.ledger(domain)).toMatchObject({ frames: 0 });
  });
});
