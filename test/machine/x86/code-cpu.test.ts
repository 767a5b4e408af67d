/** Machine code on a processor without a hypervisor: what the engine leaves to CodeCpu, at level 0 and at level 3. */
import { describe, expect } from 'vitest';
import { EXIT_HLT, EXIT_TRIPLE_FAULT } from '../../../machine/exit.ts';
import type { PortDevice } from '../../../machine/port-bus.ts';
import {
  FS,
  FS_BASE,
  GS_BASE,
  KERNEL_GS_BASE,
  R8,
  R9,
  R11,
  R12,
  R15,
  RAX,
  RBX,
  RCX,
  RDI,
  RDX,
  RSI,
  RSP,
  TR_BASE,
} from '../../../machine/vcpu.ts';
import {
  CODE,
  DATA,
  it,
  KERNEL_STACK,
  type Ran,
  runCode,
  STACK,
  TO_USER,
  UNMAPPED,
} from './code-fixture.ts';

/** A handler that keeps its frame from R8 on and ends. */
const KEEP = (words: number): string =>
  `${Array.from({ length: words }, (_, i) => `pop %r${8 + i}`).join('; ')}; hlt`;

const kept = (ran: Ran, words: number): bigint[] =>
  Array.from({ length: words }, (_, i) => ran.reg(R8 + i));

describe('an exception of machine code', () => {
  it('goes through the IDT, and IRETQ goes back', async () => {
    const ran = await runCode(
      `mov $7, %eax; xor %ecx, %ecx; xor %edx, %edx
       fault: div %ecx
       after: hlt
       h: addq $after - fault, (%rsp); mov $1, %ebx; iretq`,
      { gates: '0:h' },
    );
    expect([ran.reg(RAX), ran.reg(RBX), ran.reg(RSP)]).toEqual([7n, 1n, BigInt(STACK)]);
    expect(ran.exits).toEqual([EXIT_HLT]);
  });

  it('#PF has an error code and CR2; the instruction is tried again', async () => {
    const ran = await runCode(
      `movl $5, ${UNMAPPED + 8}
       mov ${UNMAPPED + 8}, %eax; hlt
       h: pop %r8; mov %cr2, %r9; movq $0x87, 0x3010; iretq`,
      { gates: '14:h' },
    );
    expect([ran.reg(RAX), ran.reg(R8), ran.reg(R9)]).toEqual([5n, 2n, BigInt(UNMAPPED + 8)]);
  });

  it('at level 3 switches to the stack of the TSS', async () => {
    const ran = await runCode(`${TO_USER}; user: hlt; h: mov %rsp, %rax; ${KEEP(6)}`, {
      gates: '13:h',
    });
    expect(ran.reg(RAX)).toBe(BigInt(KERNEL_STACK - 48));
    const [error, rip, ...rest] = kept(ran, 6);
    expect([error, ...rest]).toEqual([0n, 35n, 0x202n, BigInt(STACK - 0x800), 27n]);
    expect(ran.word(Number(rip)) & 0xffn).toBe(0xf4n);
  });

  it('that cannot be delivered becomes #DF, and then a triple fault', async () => {
    const double = await runCode(`ud2; h: hlt`, { gates: '8:h' });
    expect(double.exits).toEqual([EXIT_HLT]);
    const triple = await runCode(`mov $7, %ebx; ud2`, {
      prepare: ({ vcpu, recorder, exits }) => {
        const keep = recorder.onExit;
        recorder.onExit = (of) => {
          keep(of);
          if (exits.includes(EXIT_TRIPLE_FAULT)) vcpu.stopped = recorder.finished = true;
        };
      },
    });
    expect(triple.exits).toEqual([EXIT_TRIPLE_FAULT]);
    expect(triple.vcpu.rip).toBe(CODE + 5);
  });

  for (const [what, code, vector, error] of [
    ['an instruction there is not', '.byte 0x0f, 0x04', 6, undefined],
    ['UD2', 'ud2', 6, undefined],
    ['a segment that is not there', 'mov $56, %eax; mov %eax, %ds', 11, 56n],
    ['a selector beyond the GDT', 'mov $0x1000, %eax; mov %eax, %ds', 13, 0x1000n],
    ['an LDT selector without an LDT', 'mov $12, %eax; mov %eax, %es', 13, 12n],
    ['code in SS', 'mov $8, %eax; mov %eax, %ss', 13, 8n],
    ['a jump to where no address is', 'movabs $0x1234000000000000, %rax; jmp *%rax', 13, 0n],
    ['WRMSR of no address', 'mov $0xc0000100, %ecx; mov $1 << 31, %edx; wrmsr', 13, 0n],
    ['RDMSR of no MSR', 'mov $0x12345, %ecx; rdmsr', 13, 0n],
    ['MOV to CR0 without paging', 'mov $1, %eax; mov %rax, %cr0', 13, 0n],
    ['MOV to CR4 without PAE', 'xor %eax, %eax; mov %rax, %cr4', 13, 0n],
    ['IRETQ to a null segment', 'push $0; push $0; push $2; push $0; push $0; iretq', 13, 0n],
    ['IRETQ to data', 'push $16; push $0; push $2; push $16; push $0; iretq', 13, 16n],
    ['a far return to no level of its own', 'push $35; push $0; lretq', 13, undefined],
    ['VMCALL', 'vmcall', 6, undefined],
    ['SYSENTER without MSRs', 'sysenter', 13, 0n],
    ['INT of a gate that is not there', 'int $0x30', 13, 0x182n],
    ['code that may not be fetched', `mov $${UNMAPPED}, %eax; jmp *%rax`, 14, 16n],
    ['INS to memory that is not there', `mov $${UNMAPPED}, %edi; insb (%dx), %es:(%rdi)`, 14, 2n],
  ] as const) {
    it(`is raised by ${what}`, async () => {
      const handler = (n: number) => `h${n}: mov $${n}, %r15d; pop %r8; hlt`;
      const ran = await runCode(`${code}; hlt; ${[6, 11, 13, 14].map(handler).join('; ')}`, {
        gates: '6:h6 11:h11 13:h13 14:h14',
      });
      expect(ran.reg(R15)).toBe(BigInt(vector));
      if (error !== undefined) expect(ran.reg(R8)).toBe(error);
    });
  }

  it('#DB comes after each instruction while TF is set, and DR6 says why', async () => {
    const ran = await runCode(
      `pushf; orl $0x100, (%rsp); popf
       nop; mov $1, %eax; cpuid
       hlt
       h: incl %r8d; mov %dr6, %r9; cmp $3, %r8d; jne 1f; andl $~0x100, 16(%rsp); 1: iretq`,
      { gates: '1:h' },
    );
    expect(ran.reg(R8)).toBe(3n);
    expect(ran.reg(R9) & 0x4000n).toBe(0x4000n);
  });
});

describe('INT n of machine code', () => {
  it('returns past the instruction, and level 3 needs a gate of its own', async () => {
    const ran = await runCode(
      `int $0x40; mov %eax, %ebx
       ${TO_USER}; user: int $0x41; int $0x40
       h40: mov $1, %eax; iretq
       h41: mov $2, %r12d; iretq
       h13: ${KEEP(1)}`,
      { gates: '64:h40 65:h41:3 13:h13' },
    );
    expect([ran.reg(RBX), ran.reg(R12), ran.reg(R8)]).toEqual([1n, 2n, 0x40n * 8n + 2n]);
  });
});

describe('system calls of machine code', () => {
  it('SYSCALL goes to LSTAR at level 0, SYSRET back', async () => {
    const ran = await runCode(
      `mov $0xc0000081, %ecx; xor %eax, %eax; mov $0x100008, %edx; wrmsr
       mov $0xc0000082, %ecx; mov $entry, %eax; xor %edx, %edx; wrmsr
       mov $0xc0000084, %ecx; mov $0x200, %eax; wrmsr
       ${TO_USER}
       user: syscall; mov %cs, %r8d; hlt
       entry: mov %cs, %r9d; mov %rcx, %r12; pushf; pop %rdx; mov %r11, %rbx; sysretq
       h: hlt`,
      { gates: '13:h' },
    );
    // STAR says 8 for SYSCALL and 16 for SYSRET: 8, and 16 + 16 with RPL 3.
    expect([ran.reg(R9), ran.reg(R8), ran.reg(RDX) & 0x200n, ran.reg(RBX)]).toEqual([
      8n,
      35n,
      0n,
      0x202n,
    ]);
  });

  it('SYSENTER goes where its MSRs say', async () => {
    const ran = await runCode(
      `mov $0x174, %ecx; mov $8, %eax; xor %edx, %edx; wrmsr
       inc %ecx; mov $${KERNEL_STACK}, %eax; wrmsr
       inc %ecx; mov $entry, %eax; wrmsr
       ${TO_USER}; user: sysenter
       entry: mov %cs, %r8d; hlt`,
    );
    expect([ran.reg(R8), ran.reg(RSP)]).toEqual([8n, BigInt(KERNEL_STACK)]);
  });
});

describe('segments of machine code', () => {
  it('null selectors may be loaded, and clear the base; a base comes from the descriptor', async () => {
    const ran = await runCode(
      `mov $27, %eax; mov %eax, %fs; mov %fs, %ebx
       mov $0xc0000100, %ecx; mov $0x1000, %eax; xor %edx, %edx; wrmsr
       xor %eax, %eax; mov %eax, %fs; mov %eax, %ds
       push $27; pop %gs; push %gs; pop %rsi; hlt`,
    );
    expect([ran.reg(RBX), ran.reg(RSI)]).toEqual([27n, 27n]);
    expect([ran.vcpu.get(FS), ran.vcpu.get(FS_BASE)]).toEqual([0, 0]);
  });

  it('LAR, LSL, VERR and VERW answer in ZF', async () => {
    const ran = await runCode(
      `mov $35, %eax; lar %ax, %r8d; setz %bl; lsl %ax, %r9d; setz %bh
       verr %ax; setz %cl; verw %ax; setz %ch
       mov $0x1000, %eax; lar %ax, %r12d; setz %dl
       mov $40, %eax; lsl %ax, %r11d; setz %dh; hlt`,
    );
    expect([ran.reg(R8), ran.reg(R9), ran.reg(R11)]).toEqual([0xa0fb00n, 0xffffffffn, 0x67n]);
    expect([ran.reg(RBX), ran.reg(RCX), ran.reg(RDX)].map((r) => r & 0xffffn)).toEqual([
      0x101n,
      1n,
      0x100n,
    ]);
  });

  it('far jumps, calls and returns stay at their level', async () => {
    const ran = await runCode(
      `rex.w ljmp *there; hlt
       1: rex.w lcall *sub; hlt
       2: mov $2, %ebx; lretq
       there: .quad 1b; .word 8
       sub: .quad 2b; .word 8`,
    );
    expect([ran.reg(RBX), ran.reg(RSP), ran.exits]).toEqual([2n, BigInt(STACK), [EXIT_HLT]]);
  });

  it('a far return goes to an outer level', async () => {
    const ran = await runCode(
      `push $27; push $${STACK - 64}; push $35; push $user; lretq
       user: mov %cs, %ebx; mov %rsp, %rcx; hlt
       h: hlt`,
      { gates: '13:h' },
    );
    expect([ran.reg(RBX), ran.reg(RCX)]).toEqual([35n, BigInt(STACK - 64)]);
  });
});

describe('what manages the processor', () => {
  it('is done at level 0: tables, control and debug registers, MSRs', async () => {
    const ran = await runCode(
      `sgdt ${DATA}; sidt ${DATA + 16}; movw $0x1ff, ${DATA + 16}; lidt ${DATA + 16}; sidt ${DATA + 32}
       mov $40, %eax; ltr %ax; str %r8d
       mov $0x1234, %eax; mov %rax, %dr3; mov %dr3, %r9
       mov %cr0, %rax; or $8, %eax; mov %rax, %cr0; clts; smsw %ebx
       mov $0xc0000101, %ecx; mov $0x1000, %eax; xor %edx, %edx; wrmsr; swapgs
       wbinvd; invd; invlpg (%rsp); mov %cr4, %rsi; hlt`,
    );
    expect(ran.word(DATA) & 0xffffn).toBe(79n);
    expect(ran.word(DATA + 2)).toBe(0x8000n);
    expect(ran.word(DATA + 32) & 0xffffn).toBe(0x1ffn);
    expect([ran.reg(R8), ran.reg(R9), ran.reg(RBX)]).toEqual([40n, 0x1234n, 0x80010033n]);
    expect([TR_BASE, GS_BASE, KERNEL_GS_BASE].map((f) => ran.vcpu.get(f))).toEqual([
      0x9000, 0, 0x1000,
    ]);
  });

  it('CPUID and RDTSC may be executed at any level', async () => {
    const ran = await runCode(
      `${TO_USER}; user: xor %eax, %eax; cpuid; mov %ebx, %r8d; rdtsc; mov %eax, %r9d; rdtsc; hlt
       h: hlt`,
      { gates: '13:h' },
    );
    expect(ran.reg(R8)).toBe(0x756e6547n);
    expect(ran.reg(RAX)).toBeGreaterThan(ran.reg(R9));
  });

  it('ports are read and written by every form, strings both ways', async () => {
    const seen: number[][] = [];
    const ran = await runCode(
      `in $0x10, %al; mov $0x20, %edx; in (%dx), %ax; out %eax, (%dx); out %al, $0x90
       mov $3, %ecx; mov $${DATA}, %edi; rep insw
       std; mov $2, %ecx; lea -2(%edi), %esi; rep outsw; cld; hlt`,
      {
        prepare: ({ machine }) => {
          let next = 0x41;
          const device: PortDevice = {
            read: (port, size) => {
              seen.push([port, size]);
              return next++;
            },
            write: (port, size, value) => void seen.push([port, size, value]),
          };
          machine.bus.attach(device, 0, 0xff);
        },
      },
    );
    expect(seen).toEqual([
      ...[
        [0x10, 1],
        [0x20, 2],
        [0x20, 4, 0x42],
        [0x90, 1, 0x42],
      ],
      ...[
        [0x20, 2],
        [0x20, 2],
        [0x20, 2],
        [0x20, 2, 0x45],
        [0x20, 2, 0x44],
      ],
    ]);
    expect([ran.reg(RCX), ran.reg(RDI), ran.reg(RSI)]).toEqual([
      0n,
      BigInt(DATA + 6),
      BigInt(DATA),
    ]);
    expect(ran.word(DATA)).toBe(0x0045_0044_0043n);
  });

  it('interrupts are let in after the instruction behind STI', async () => {
    const at: number[] = [];
    const ran = await runCode('start: sti; nop; hlt', {
      prepare: ({ recorder }) => {
        recorder.onEnter = (vcpu) => void at.push(vcpu.rip - CODE);
      },
    });
    expect(at).toEqual([0, 2]);
    expect(ran.exits).toEqual([EXIT_HLT]);
  });
});
