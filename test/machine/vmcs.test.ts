import { describe, expect, it } from 'vitest';
import { Account } from '../../machine/account.ts';
import * as exit from '../../machine/exit.ts';
import { IO_GS, IO_IN, IO_REP, IO_STRING, ioAccess } from '../../machine/io-access.ts';
import { Machine } from '../../machine/machine.ts';
import { presetNamed } from '../../machine/presets.ts';
import { PTE_P, PTE_RW } from '../../machine/pte.ts';
import * as block from '../../machine/vcpu.ts';
import { saveGuestState, Vmcs, vmEntry, vmExit } from '../../machine/vmcs.ts';
import { controlProblem, guestStateProblem } from '../../machine/vmcs-checks.ts';
import * as field from '../../machine/vmcs-fields.ts';

const VMCS_FRAME = 20;
const ROOT = 10;
const IDT = 0x5000;
const STACK = 0x8000;
const HANDLER = 0x1234_5000;
const SECONDARY = field.SECONDARY_ENABLE_EPT | field.SECONDARY_ENABLE_VPID;

/** A long-mode vCPU at CPL 0 with the low 2 MiB mapped onto themselves, and its VMCS. */
const virtualized = (preset = 'skylake-2018') => {
  const machine = new Machine({ preset: presetNamed(preset)!, frames: 64, vcpus: 1, pcpus: 1 });
  const { memory } = machine;
  const vcpu = machine.allocateVcpu();
  const account = new Account();
  vcpu.pcpu.account = account;
  const entry = (frame: number, index: number, target: number) => {
    memory.u32[(memory.frameAt(frame) >>> 2) + index * 2] = (target << 12) | PTE_P | PTE_RW;
  };
  for (let level = 0; level < 3; level++) entry(ROOT + level, 0, ROOT + level + 1);
  for (let page = 0; page < 64; page++) entry(ROOT + 3, page, page);
  for (const [register, value] of [
    [block.CR0, 0x80010033],
    [block.CR3, ROOT * 4096],
    [block.CR4, 0x20],
    [block.EFER, 0xd01],
    [block.RFLAGS, 0x202],
    [block.RIP, -0x7fff0000],
    [block.RSP * 8, STACK],
    [block.CS, 8],
    [block.IDTR_BASE, IDT],
    [block.IDTR_LIMIT, 0xfff],
  ] as const) {
    vcpu.set(register, value);
  }
  const vmcs = new Vmcs(memory, VMCS_FRAME);
  saveGuestState(vcpu, vmcs);
  vmcs.write(field.CPU_BASED_VM_EXEC_CONTROL, field.CPU_BASED_HLT_EXITING);
  const gate = (vector: number) => {
    memory.view.setUint32(
      memory.frameBase + IDT + vector * 16,
      (8 << 16) | (HANDLER & 0xffff),
      true,
    );
    memory.view.setUint32(
      memory.frameBase + IDT + vector * 16 + 4,
      (HANDLER & 0xffff0000) | 0x8e00,
      true,
    );
  };
  const leave = (reason: number, a = 0, b = 0, c = 0) => {
    vcpu.set(block.EXIT_REASON, reason);
    vcpu.set(block.EXIT_A, a);
    vcpu.set(block.EXIT_B, b);
    vcpu.set(block.EXIT_C, c);
    vmExit(machine, vcpu, vmcs);
  };
  const cause = (name: string) => {
    const id = machine.causes.id(name);
    return { count: account.count[id], cycles: account.cycles[id] };
  };
  return { machine, vcpu, vmcs, gate, leave, cause };
};

describe('VMCS', () => {
  it('keeps fields by width: 16 bits, 32 bits, 64 bits and natural', () => {
    const { vmcs } = virtualized();
    vmcs.write(field.GUEST_CS_SELECTOR, 0x12345);
    vmcs.write(field.VM_EXIT_REASON, -1);
    vmcs.write(field.EPT_POINTER, 0x12_3456_7000);
    vmcs.write(field.GUEST_RIP, -0x80000000);
    expect(vmcs.read(field.GUEST_CS_SELECTOR)).toBe(0x2345);
    expect(vmcs.read(field.VM_EXIT_REASON)).toBe(0xffffffff);
    expect(vmcs.read(field.EPT_POINTER)).toBe(0x12_3456_7000);
    expect(vmcs.read(field.EPT_POINTER + 1)).toBe(0x12);
    expect(vmcs.read(field.GUEST_RIP)).toBe(-0x80000000);
  });

  it('gives every named field its own place within one frame', () => {
    const { vmcs, machine } = virtualized();
    const encodings = Object.entries(field)
      .filter(([name]) =>
        /^(GUEST|HOST|CR0|CR4|EPT|VMCS|EXIT_Q|VM_E|VM_I|IDT|PIN_BASED_VM|VIRTUAL)/.test(name),
      )
      .filter(([name]) => !/(IA32E_MODE|FAILURE|VMERR)/.test(name))
      .map(([, encoding]) => encoding);
    const neighbour = machine.memory.frame(VMCS_FRAME + 1).slice();
    for (const [index, encoding] of encodings.entries()) vmcs.write(encoding, index + 1);
    expect(encodings.map((encoding) => vmcs.read(encoding))).toEqual(
      encodings.map((_e, index) => index + 1),
    );
    expect(machine.memory.frame(VMCS_FRAME + 1)).toEqual(neighbour);
    expect(machine.memory.u32[machine.memory.frameAt(VMCS_FRAME) >>> 2]).toBe(1);
  });

  it.each([0x8000, 0x4003, 0x6101, 0x0840])('has no field %i', (encoding) => {
    const { vmcs } = virtualized();
    expect(() => vmcs.read(encoding)).toThrow(RangeError);
  });
});

describe('VM entry', () => {
  it('loads guest state and controls', () => {
    const { machine, vcpu, vmcs } = virtualized();
    vmcs.write(field.GUEST_RIP, 0x1000);
    vmcs.write(field.GUEST_GS_BASE, -4096);
    vmcs.write(field.EXCEPTION_BITMAP_FIELD, 1 << 14);
    vmcs.write(field.EPT_POINTER, 5 * 4096 + 0x1e);
    vmcs.write(field.VIRTUAL_PROCESSOR_IDENTIFIER, 1);
    vmcs.write(
      field.CPU_BASED_VM_EXEC_CONTROL,
      field.CPU_BASED_HLT_EXITING |
        field.CPU_BASED_UNCOND_IO_EXITING |
        field.CPU_BASED_ACTIVATE_SECONDARY,
    );
    vmcs.write(field.SECONDARY_VM_EXEC_CONTROL, SECONDARY);
    vcpu.reset();

    expect(vmEntry(machine, vcpu, vmcs)).toBe(true);

    expect([vcpu.rip, vcpu.get(block.GS_BASE), vcpu.get(block.CR3)]).toEqual([
      0x1000,
      -4096,
      ROOT * 4096,
    ]);
    expect([vcpu.get(block.EPTP), vcpu.get(block.EXCEPTION_BITMAP)]).toEqual([5, 1 << 14]);
    expect(vcpu.get(block.CONTROLS)).toBe(
      exit.CONTROL_HLT |
        exit.CONTROL_IO |
        exit.CONTROL_CPUID |
        exit.CONTROL_MSR |
        exit.CONTROL_VMCALL,
    );
  });

  it('takes the privilege level from the DPL of SS', () => {
    const { machine, vcpu, vmcs } = virtualized();
    vcpu.cpl = 3;
    saveGuestState(vcpu, vmcs);
    vcpu.cpl = 0;
    vmEntry(machine, vcpu, vmcs);
    expect([vcpu.cpl, vcpu.tlbSelected]).toEqual([3, 1]);
  });

  it.each([
    ['PG without PE', field.GUEST_CR0, 0x80000000],
    ['a CR3 beyond the physical width', field.GUEST_CR3, 2 ** 40],
    ['no PAE in IA-32e mode', field.GUEST_CR4, 0],
    ['LMA without the control', field.VM_ENTRY_CONTROLS, 0],
    ['reserved EFER bits', field.GUEST_IA32_EFER, 0xd03],
    ['RFLAGS bit 1 clear', field.GUEST_RFLAGS, 0x200],
    ['virtual-8086 mode', field.GUEST_RFLAGS, 0x20002],
    ['a RIP that is not canonical', field.GUEST_RIP, 2 ** 47],
    ['a base that is not canonical', field.GUEST_FS_BASE, -(2 ** 47) - 1],
    ['an IDT limit over 16 bits', field.GUEST_IDTR_LIMIT, 0x10000],
    ['a data segment in CS', field.GUEST_CS_AR_BYTES, 0xc093],
    ['both L and D in CS', field.GUEST_CS_AR_BYTES, 0xe09b],
    ['DPLs of CS and SS that differ', field.GUEST_SS_AR_BYTES, 0xc0f3],
    ['an unknown activity state', field.GUEST_ACTIVITY_STATE, 4],
    ['STI and MOV SS blocking at once', field.GUEST_INTERRUPTIBILITY_INFO, 3],
    ['a linked VMCS', field.VMCS_LINK_POINTER, 0x1000],
  ])('fails with reason 33 on %s, loading nothing', (_case, encoding, value) => {
    const { machine, vcpu, vmcs } = virtualized();
    vmcs.write(encoding, value);
    vcpu.rip = 0x777;

    expect(vmEntry(machine, vcpu, vmcs)).toBe(false);

    expect(guestStateProblem(vmcs)).toBeTypeOf('string');
    expect(vmcs.read(field.VM_EXIT_REASON)).toBe(0x80000021);
    expect([vcpu.rip, vmcs.launched]).toEqual([0x777, false]);
  });

  it('fails with reason 33 when an interrupt is injected while IF is clear', () => {
    const { machine, vcpu, vmcs } = virtualized();
    vmcs.write(field.GUEST_RFLAGS, 2);
    vmcs.write(field.VM_ENTRY_INTR_INFO, field.INTR_INFO_VALID | 0x30);
    expect(vmEntry(machine, vcpu, vmcs)).toBe(false);
    expect(vmcs.read(field.VM_EXIT_REASON)).toBe(0x80000021);
  });

  it.each([
    ['an unknown control', field.CPU_BASED_VM_EXEC_CONTROL, 1],
    ['a reserved event type', field.VM_ENTRY_INTR_INFO, 0x80000120],
    ['an NMI with another vector', field.VM_ENTRY_INTR_INFO, 0x80000203],
    ['an exception beyond 31', field.VM_ENTRY_INTR_INFO, 0x80000320],
    ['a #PF without error code', field.VM_ENTRY_INTR_INFO, 0x8000030e],
    ['an interrupt with one', field.VM_ENTRY_INTR_INFO, 0x80000830],
  ])('refuses %s with VM-instruction error 7, charging nothing', (_case, encoding, value) => {
    const { machine, vcpu, vmcs } = virtualized();
    vmcs.write(encoding, value);
    expect(vmEntry(machine, vcpu, vmcs)).toBe(false);
    expect(controlProblem(vmcs)).toBeTypeOf('string');
    expect([vmcs.read(field.VM_INSTRUCTION_ERROR), vcpu.pcpu.now]).toEqual([7, 0]);
  });

  it.each([
    ['a VPID of zero', SECONDARY, 0, 0x501e],
    ['an EPT pointer of another type', SECONDARY, 1, 0x5000],
    ['an unknown secondary control', SECONDARY | 1, 1, 0x501e],
  ])('refuses %s', (_case, secondary, vpid, pointer) => {
    const { machine, vcpu, vmcs } = virtualized();
    vmcs.write(field.CPU_BASED_VM_EXEC_CONTROL, field.CPU_BASED_ACTIVATE_SECONDARY);
    vmcs.write(field.SECONDARY_VM_EXEC_CONTROL, secondary);
    vmcs.write(field.VIRTUAL_PROCESSOR_IDENTIFIER, vpid);
    vmcs.write(field.EPT_POINTER, pointer);
    expect(vmEntry(machine, vcpu, vmcs)).toBe(false);
    expect(vmcs.read(field.VM_INSTRUCTION_ERROR)).toBe(7);
  });

  it('injects an interrupt through the IDT once', () => {
    const { machine, vcpu, vmcs, gate } = virtualized();
    gate(0x30);
    const rip = vcpu.rip;
    vmcs.write(field.VM_ENTRY_INTR_INFO, field.INTR_INFO_VALID | 0x30);

    expect(vmEntry(machine, vcpu, vmcs)).toBe(true);

    const { view, frameBase } = machine.memory;
    expect(vcpu.rip).toBe(HANDLER);
    expect(vcpu.lo(block.RFLAGS) & block.RFLAGS_IF).toBe(0);
    expect(view.getBigInt64(frameBase + vcpu.gpr(block.RSP), true)).toBe(BigInt(rip));
    expect(vmcs.read(field.VM_ENTRY_INTR_INFO)).toBe(0x30);
  });

  it('injects an exception with its error code', () => {
    const { machine, vcpu, vmcs, gate } = virtualized();
    gate(14);
    vmcs.write(field.VM_ENTRY_INTR_INFO, 0x80000b0e);
    vmcs.write(field.VM_ENTRY_EXCEPTION_ERROR_CODE, 6);
    vmEntry(machine, vcpu, vmcs);
    const { view, frameBase } = machine.memory;
    expect(view.getUint32(frameBase + vcpu.gpr(block.RSP), true)).toBe(6);
  });

  it('turns an injection that cannot be delivered into a triple-fault exit', () => {
    const { machine, vcpu, vmcs } = virtualized();
    vmcs.write(field.VM_ENTRY_INTR_INFO, field.INTR_INFO_VALID | 0x30);
    expect(vmEntry(machine, vcpu, vmcs)).toBe(false);
    expect(vmcs.read(field.VM_EXIT_REASON)).toBe(exit.EXIT_TRIPLE_FAULT);
  });
});

describe('VM exit', () => {
  it('saves guest state', () => {
    const { machine, vcpu, vmcs, leave } = virtualized();
    vmEntry(machine, vcpu, vmcs);
    vcpu.rip = 0x4242;
    vcpu.setGpr(block.RSP, 0x7000);
    vcpu.set(block.CR3, 0x3000);
    leave(exit.EXIT_HLT);
    expect(vmcs.read(field.VM_EXIT_REASON)).toBe(12);
    expect([field.GUEST_RIP, field.GUEST_RSP, field.GUEST_CR3].map((f) => vmcs.read(f))).toEqual([
      0x4242, 0x7000, 0x3000,
    ]);
  });

  it('describes a #PF: vector, error code and address', () => {
    const { vmcs, leave } = virtualized();
    leave(exit.EXIT_EXCEPTION, 14, 2, -0x1000);
    expect(vmcs.read(field.VM_EXIT_INTR_INFO)).toBe(0x80000b0e);
    expect(vmcs.read(field.VM_EXIT_INTR_ERROR_CODE)).toBe(2);
    expect(vmcs.read(field.EXIT_QUALIFICATION)).toBe(-0x1000);
  });

  it.each([
    ['an NMI', exit.VECTOR_NMI, 0x80000202],
    ['#BP', exit.VECTOR_BP, 0x80000603],
    ['#UD', exit.VECTOR_UD, 0x80000306],
  ])('gives %s its type', (_case, vector, info) => {
    const { vmcs, leave } = virtualized();
    leave(exit.EXIT_EXCEPTION, vector);
    expect(vmcs.read(field.VM_EXIT_INTR_INFO)).toBe(info);
  });

  it.each([
    ['OUT of 2 bytes', exit.EXIT_IO_INSTRUCTION, [ioAccess(0xb004, 2, 0), 0, 0], 0xb0040001],
    [
      'REP INS of 2 bytes',
      exit.EXIT_IO_INSTRUCTION,
      [ioAccess(0x1f0, 2, IO_IN | IO_STRING | IO_REP | IO_GS), 0, 0],
      0x01f00039,
    ],
    ['MOV to CR3', exit.EXIT_CR_ACCESS, [3, 0, 0x1000], 3],
    ['MOV from CR0', exit.EXIT_CR_ACCESS, [0, 1, 0], 0x10],
    ['INVLPG', exit.EXIT_INVLPG, [-0x2000, 0, 0], -0x2000],
  ] as const)('qualifies %s', (_case, reason, [a, b, c], qualification) => {
    const { vmcs, leave } = virtualized();
    leave(reason, a, b, c);
    expect(vmcs.read(field.EXIT_QUALIFICATION)).toBe(qualification);
  });

  it('gives the addresses of an EPT violation', () => {
    const { vmcs, leave } = virtualized();
    leave(exit.EXIT_EPT_VIOLATION, 0xfee00000, 0x182, -0x5000);
    expect(vmcs.read(field.EXIT_QUALIFICATION)).toBe(0x182);
    expect(vmcs.read(field.GUEST_PHYSICAL_ADDRESS)).toBe(0xfee00000);
    expect(vmcs.read(field.GUEST_LINEAR_ADDRESS)).toBe(-0x5000);
  });

  it('charges exit and re-entry to the cause of the exit, the launch to its own', () => {
    const { machine, vcpu, vmcs, leave, cause } = virtualized();
    const { vmExit: out, vmEntry: back } = machine.costs;
    vmEntry(machine, vcpu, vmcs);
    leave(exit.EXIT_CPUID);
    vmEntry(machine, vcpu, vmcs);
    expect(cause('VM launch').cycles).toBe(back);
    expect(cause('exit CPUID')).toEqual({ count: 1, cycles: out + back });
    expect(vcpu.pcpu.now).toBe(out + 2 * back);
  });
});

describe('VPID', () => {
  const cachedAfterRoundTrip = (preset: string, secondary: number) => {
    const { machine, vcpu, vmcs, leave } = virtualized(preset);
    vmcs.write(
      field.CPU_BASED_VM_EXEC_CONTROL,
      secondary === 0 ? 0 : field.CPU_BASED_ACTIVATE_SECONDARY,
    );
    vmcs.write(field.SECONDARY_VM_EXEC_CONTROL, secondary);
    vmcs.write(field.VIRTUAL_PROCESSOR_IDENTIFIER, 1);
    vmEntry(machine, vcpu, vmcs);
    machine.mmu.translate(vcpu, 0x9000, 0);
    leave(exit.EXIT_CPUID);
    vmEntry(machine, vcpu, vmcs);
    const word = (vcpu.tlbRead >>> 2) + 9 * 4;
    return machine.memory.u32[word] === 0x9000;
  };

  it('keeps the TLB over exits where processor and VMCS have it', () => {
    expect(cachedAfterRoundTrip('skylake-2018', field.SECONDARY_ENABLE_VPID)).toBe(true);
  });

  it('is missed where either lacks it: the TLB is empty after an exit', () => {
    expect(cachedAfterRoundTrip('skylake-2018', 0)).toBe(false);
    expect(cachedAfterRoundTrip('p4-2005', field.SECONDARY_ENABLE_VPID)).toBe(false);
  });
});
