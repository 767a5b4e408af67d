/** Compiled PV kernels that go wrong end with a reason that says where; and what only the hypervisor sees of them. */
import { describe, expect } from 'vitest';
import type { Domain } from '../../hypervisor/domain.ts';
import { writeHypercallPage } from '../../hypervisor/hypercall-page.ts';
import { parseImage } from '../../hypervisor/image.ts';
import { R12 } from '../../machine/vcpu.ts';
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

  it('is preempted in an endless loop, and can be destroyed there', async () => {
    const { host, domain } = await run('jmp .');
    expect(domain.end).toBeUndefined();
    host.xen.destroy(domain);
    expect(host.xen.ledger(domain)).toMatchObject({ frames: 0 });
  });
});
