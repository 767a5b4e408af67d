/** Where machine code leaves for whoever runs it, and what the exit says. */
import { describe, expect } from 'vitest';
import { Account, CAUSE_TLB_MISS } from '../../../machine/account.ts';
import {
  CONTROL_CPUID,
  CONTROL_IO,
  CONTROL_VMCALL,
  EXIT_CPUID,
  EXIT_EPT_VIOLATION,
  EXIT_EXCEPTION,
  EXIT_HLT,
  EXIT_IO_INSTRUCTION,
  EXIT_VMCALL,
  OP_CLI,
  OP_INS,
  OP_MOV_TO_CR3,
  OP_MOV_TO_DR,
} from '../../../machine/exit.ts';
import { Pcpu } from '../../../machine/pcpu.ts';
import {
  CONTROLS,
  EPTP,
  EXCEPTION_BITMAP,
  EXIT_A,
  EXIT_C,
  EXIT_D,
  EXIT_REASON,
} from '../../../machine/vcpu.ts';
import { Engine } from '../../../machine/x86/engine.ts';
import { pagingVcpu } from '../../support/machine-fixture.ts';
import { CODE, DATA, it, runCode, TO_USER } from './code-fixture.ts';

describe('an exit of machine code', () => {
  it('happens where a control asks, with the length of the instruction', async () => {
    const seen: number[][] = [];
    const ran = await runCode(
      `cpuid; mov $0x3f8, %edx; out %al, (%dx); mov $5, %ecx; mov $${DATA}, %esi
       rep outsl %gs:(%esi), (%dx); vmcall; hlt`,
      {
        prepare: ({ vcpu, recorder }) => {
          vcpu.setHalves(CONTROLS, CONTROL_CPUID | CONTROL_IO | CONTROL_VMCALL, 0);
          const retire = recorder.onExit;
          recorder.onExit = (of) => {
            seen.push([vcpu.lo(EXIT_REASON), vcpu.hi(EXIT_REASON), vcpu.get(EXIT_A)]);
            retire(of);
          };
        },
      },
    );
    expect(seen).toEqual([
      [EXIT_CPUID, 2, 0],
      [EXIT_IO_INSTRUCTION, 1, 0x3f80000],
      [EXIT_IO_INSTRUCTION, 4, 0x3f80000 | 512 | 128 | 32 | 16 | 3],
      [EXIT_VMCALL, 3, 0],
      [EXIT_HLT, 1, 0],
    ]);
    expect(ran.recorder.failures).toEqual([]);
  });

  it('for a #GP names the privileged instruction and its operand', async () => {
    const seen: number[][] = [];
    await runCode(
      `${TO_USER}; user: mov %r11, %cr3; mov %r12, %dr7; rep insb; cli; mov 0x8000, %rbx; ud2`,
      {
        prepare: ({ vcpu, recorder }) => {
          vcpu.set(EXCEPTION_BITMAP, 0xffffffff);
          recorder.onExit = () => {
            seen.push([vcpu.lo(EXIT_REASON), vcpu.get(EXIT_A), vcpu.get(EXIT_D), vcpu.get(EXIT_C)]);
            vcpu.retire();
            recorder.finished = vcpu.get(EXIT_A) === 6;
          };
        },
      },
    );
    expect(seen).toEqual([
      [EXIT_EXCEPTION, 13, OP_MOV_TO_CR3, 11],
      [EXIT_EXCEPTION, 13, OP_MOV_TO_DR, (7 << 4) | 12],
      [EXIT_EXCEPTION, 13, OP_INS, 8 | 16 | 32],
      [EXIT_EXCEPTION, 13, OP_CLI, 0],
      [EXIT_EXCEPTION, 6, 0, 0],
    ]);
  });

  it('is what a fault in the second dimension is', async () => {
    const seen: number[] = [];
    await runCode('mov 0x8000, %eax', {
      prepare: ({ vcpu, recorder }) => {
        vcpu.set(EPTP, 900); // a frame of zeros: nothing is mapped
        recorder.onExit = () => {
          seen.push(vcpu.lo(EXIT_REASON), vcpu.get(EXIT_A));
          recorder.finished = true;
        };
      },
    });
    expect(seen).toEqual([EXIT_EPT_VIOLATION, 0x1000]);
  });
});

describe('an engine', () => {
  it('charges the CPU of a vCPU that has the block of an earlier one', async () => {
    const { machine, vcpu } = await runCode('hlt');
    const engine = new Engine(machine);
    vcpu.rip = CODE;
    engine.step(vcpu);
    machine.freeVcpu(vcpu);
    const other = pagingVcpu(machine);
    expect(other.index).toBe(vcpu.index);
    other.pcpu = new Pcpu(1, new Account());
    machine.memory.u8.set([0xa1, 0, 0x80, 0, 0, 0, 0, 0, 0], machine.memory.frameBase + CODE);
    other.rip = CODE;
    expect(engine.step(other).kind).toBe('done');
    expect(other.pcpu.account.count[CAUSE_TLB_MISS]).toBe(1);
  });
});
