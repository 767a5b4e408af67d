import { describe, expect, it } from 'vitest';
import { R11, RAX, RCX, RFLAGS_IF, RSP } from '../../machine/vcpu.ts';
import { CALLBACKTYPE_syscall } from '../../protocol/callback.ts';
import {
  __HYPERVISOR_iret,
  __HYPERVISOR_mmuext_op,
  __HYPERVISOR_sched_op,
  __HYPERVISOR_stack_switch,
  __HYPERVISOR_xen_version,
} from '../../protocol/hypercalls.ts';
import { SCHEDOP_yield } from '../../protocol/sched.ts';
import { ArchVcpuInfo, VcpuInfo } from '../../protocol/shared-info.ts';
import { MMUEXT_NEW_USER_BASEPTR, MmuextOp } from '../../protocol/xen.ts';
import { type RawGuest, runPv } from '../support/pv-fixture.ts';

const GP = 13;
const PF = 14;
const UD = 6;
const TRAP_MASKS = 4;
const CR2 = VcpuInfo.offset.arch + ArchVcpuInfo.offset.cr2;
const UPCALL_MASK = VcpuInfo.offset.evtchnUpcallMask;

/** One root for both modes: its pages all have the user bit, as every PV page does. */
const userRoot = (guest: RawGuest): number => {
  const va = guest.put(MmuextOp, {
    cmd: MMUEXT_NEW_USER_BASEPTR,
    arg1: { mfn: guest.mfn(guest.start.ptBase) },
  });
  return guest.cpu.syscall(__HYPERVISOR_mmuext_op, va, 1, 0, 0x7ff0);
};

/** Go to user mode at `code`, on the stack below `stack`, by the iret hypercall. */
const toUser = (guest: RawGuest, code: () => void, stack: number): void => {
  const { cpu } = guest;
  const frame = guest.page() + 2048;
  const words = [0, 0, 0, 0, cpu.entry(code), 0xe033, RFLAGS_IF | 2, stack, 0xe02b];
  for (const [i, word] of words.entries()) cpu.storeNumber(frame + i * 8, word);
  cpu.setReg(RSP, frame);
  cpu.syscall(__HYPERVISOR_iret);
};

describe('PV exceptions', () => {
  it('push the frame that the ABI describes, on a 16-byte boundary', async () => {
    const words: number[] = [];
    let rsp = 0;
    let handlerRsp = 0;
    let rip = 0;
    await runPv((guest) => {
      const { cpu } = guest;
      guest.trap(PF, () => {
        handlerRsp = cpu.reg(RSP);
        for (let i = 0; i < 8; i++) words.push(cpu.loadNumber(handlerRsp + i * 8));
        guest.trap(PF, () => {});
        guest.shutdown(0);
      });
      cpu.setReg(RCX, 0x1111);
      cpu.setReg(R11, 0x2222);
      rsp = cpu.reg(RSP) - 24;
      cpu.setReg(RSP, rsp);
      rip = cpu.here();
      cpu.load32(0x7654);
    });
    expect(handlerRsp).toBe(rsp - (rsp & 15) - 64);
    expect(words).toEqual([0x1111, 0x2222, 0, rip, 0xe030 + 2 ** 32, 2, rsp, 0xe02b]);
  });

  it('retry the access when the handler returns, with the address in vcpu_info.arch.cr2', async () => {
    const seen: number[] = [];
    await runPv((guest) => {
      const { cpu } = guest;
      guest.mapShared();
      const target = 0x7000;
      let fixed = false;
      guest.trap(PF, () => {
        seen.push(cpu.loadNumber(guest.shared + CR2), cpu.loadNumber(cpu.reg(RSP) + 16));
        fixed = true;
        guest.iret(true);
        if (fixed) throw new RangeError('no page there');
      });
      expect(() => cpu.store32(target, 1)).toThrow('no page there');
    });
    expect(seen).toEqual([0x7000, 2]);
  });

  it('mask events on entry only if the trap entry says so', async () => {
    const masks: number[] = [];
    await runPv((guest) => {
      const { cpu } = guest;
      guest.mapShared();
      for (const flags of [0, TRAP_MASKS]) {
        guest.trap(
          UD,
          () => {
            masks.push(cpu.load8(guest.shared + UPCALL_MASK));
            guest.iret();
          },
          flags,
        );
        guest.upcalls(true);
        cpu.ud2();
        masks.push(cpu.load8(guest.shared + UPCALL_MASK));
      }
    });
    expect(masks).toEqual([0, 0, 1, 0]);
  });

  it.each([
    [
      'no handler',
      () => {},
      /^d1v0: it has no handler for #PF \(error code 0x2, address 0x1230, rip 0xffffffff/,
    ],
    [
      'an unwritable stack',
      (guest: RawGuest) => {
        guest.trap(PF, () => {});
        guest.cpu.setReg(RSP, 0x5000);
      },
      /its stack cannot take #PF \(error code 0x2, address 0x1230, rip/,
    ],
    [
      'a stack in the range of Xen',
      (guest: RawGuest) => {
        guest.trap(PF, () => {});
        guest.cpu.setReg(RSP, -0x7fff00000000);
      },
      /its stack cannot take #PF/,
    ],
  ])('crash the domain with %s, and say where', async (_case, prepare, why) => {
    const { domain } = await runPv((guest) => {
      prepare(guest);
      guest.cpu.store8(0x1230, 1);
    });
    expect(domain.end).toEqual({ outcome: 'crash', why: expect.stringMatching(why) });
  });

  it('send INT n to trap n if its entry lets the kernel raise it, else #GP names the gate', async () => {
    const seen: unknown[] = [];
    await runPv((guest) => {
      const { cpu } = guest;
      guest.trap(GP, () => {
        seen.push(['#GP', cpu.loadNumber(cpu.reg(RSP) + 16)]);
        guest.iret(true);
      });
      guest.trap(
        0x21,
        () => {
          seen.push('0x21');
          guest.iret();
        },
        1,
      );
      guest.trap(0x22, () => seen.push('0x22'), 0);
      guest.trap(0x80, () => {
        seen.push('0x80');
        guest.iret();
      });
      for (const vector of [0x21, 0x22, 0x80, 0x30]) cpu.int(vector);
    });
    expect(seen).toEqual(['0x21', ['#GP', 0x22 * 8 + 2], '0x80', ['#GP', 0x30 * 8 + 2]]);
  });
});

describe('iret', () => {
  it('restores RAX, RCX and R11, and the upcall mask from IF', async () => {
    const seen: number[] = [];
    await runPv((guest) => {
      const { cpu } = guest;
      guest.mapShared();
      guest.trap(UD, () => {
        guest.iret(false, (frame) => {
          cpu.storeNumber(frame, 0xaaaa);
          cpu.storeNumber(frame + 8, 0xbbbb);
          cpu.storeNumber(frame + 16, 0xcccc);
          cpu.storeNumber(frame + 48, 2);
        });
      });
      guest.upcalls(true);
      cpu.ud2();
      seen.push(
        cpu.reg(RAX),
        cpu.reg(R11),
        cpu.reg(RCX),
        cpu.load8(guest.shared + UPCALL_MASK),
        cpu.flags() & RFLAGS_IF,
      );
    });
    expect(seen).toEqual([0xaaaa, 0xbbbb, 0xcccc, 1, RFLAGS_IF]);
  });

  it.each([
    [
      'its frame is not readable',
      (guest: RawGuest) => {
        guest.cpu.setReg(RSP, 0x3000);
        guest.cpu.syscall(__HYPERVISOR_iret);
      },
      'iret frame at rsp 0x3000 is not readable',
    ],
    [
      'it names user mode and there is no user root',
      (guest: RawGuest) => toUser(guest, () => {}, 0),
      'without a user page table',
    ],
  ])('crashes the domain when %s', async (_case, code, why) => {
    const { domain } = await runPv(code);
    expect(domain.end?.why).toContain(why);
  });

  it('reports a non-canonical RIP as #GP(0) at that RIP', async () => {
    let seen: number[] = [];
    await runPv((guest) => {
      const { cpu } = guest;
      guest.trap(GP, () => {
        const rsp = cpu.reg(RSP);
        seen = [cpu.loadNumber(rsp + 16), cpu.loadNumber(rsp + 24)];
        guest.shutdown(0);
      });
      guest.trap(UD, () =>
        guest.iret(false, (frame) => cpu.storeNumber(frame + 32, 0x800000000000)),
      );
      cpu.ud2();
    });
    expect(seen).toEqual([0, 0x800000000000]);
  });
});

describe('PV user mode', () => {
  it('reaches the syscall callback on the kernel stack, and the kernel goes back by iret', async () => {
    const seen: unknown[] = [];
    await runPv((guest) => {
      const { cpu } = guest;
      expect(userRoot(guest)).toBe(0);
      const kernelStack = guest.page() + 4096;
      const userStack = guest.page() + 4096;
      cpu.syscall(__HYPERVISOR_stack_switch, 0xe02b, kernelStack);
      guest.callback(CALLBACKTYPE_syscall, () => {
        const rsp = cpu.reg(RSP);
        const nr = cpu.reg(RAX);
        seen.push(
          nr,
          kernelStack - rsp,
          cpu.loadNumber(rsp + 24) & 0xffff,
          cpu.loadNumber(rsp + 40) === userStack,
        );
        if (nr === 60) {
          guest.shutdown(0);
          return;
        }
        guest.iret(false, (frame) => cpu.storeNumber(frame, 1234));
      });
      toUser(
        guest,
        () => {
          seen.push(cpu.syscall(39, 7));
          cpu.syscall(60);
        },
        userStack,
      );
    });
    expect(seen).toEqual([39, 56, 0xe033, true, 1234, 60, 56, 0xe033, true]);
  });

  it('shows a fault of user mode with the user bit, and lets no privileged instruction through', async () => {
    const seen: unknown[] = [];
    await runPv((guest) => {
      const { cpu } = guest;
      userRoot(guest);
      cpu.syscall(__HYPERVISOR_stack_switch, 0xe02b, guest.page() + 4096);
      guest.trap(PF, () => {
        seen.push(cpu.loadNumber(cpu.reg(RSP) + 16));
        guest.iret(true);
        throw new RangeError('fault');
      });
      guest.trap(GP, () => {
        seen.push('#GP');
        guest.shutdown(0);
      });
      toUser(
        guest,
        () => {
          try {
            cpu.load8(0x4000);
          } catch {
            seen.push('caught');
          }
          cpu.readCr(3);
        },
        guest.page() + 4096,
      );
    });
    expect(seen).toEqual([4, 'caught', '#GP']);
  });

  it('makes SYSCALL #UD at the instruction where there is no callback', async () => {
    let back = 0;
    await runPv((guest) => {
      const { cpu } = guest;
      let rip = 0;
      userRoot(guest);
      cpu.syscall(__HYPERVISOR_stack_switch, 0xe02b, guest.page() + 4096);
      guest.trap(UD, () => {
        back = rip - cpu.loadNumber(cpu.reg(RSP) + 16);
        guest.shutdown(0);
      });
      toUser(
        guest,
        () => {
          rip = cpu.here();
          cpu.syscall(1);
        },
        guest.page() + 4096,
      );
    });
    expect(back).toBe(2);
  });
});

describe('event upcalls', () => {
  it('come on the way out of the hypervisor, not by a store to the mask', async () => {
    const order: string[] = [];
    await runPv((guest) => {
      const { cpu } = guest;
      guest.mapShared();
      guest.callback(0, () => {
        order.push('upcall');
        cpu.store8(guest.shared, 0);
        guest.iret();
      });
      cpu.store8(guest.shared, 1);
      guest.upcalls(true);
      cpu.load32(guest.shared);
      order.push('unmasked');
      cpu.syscall(__HYPERVISOR_xen_version, 0);
      order.push('called');
      guest.upcalls(false);
      cpu.store8(guest.shared, 1);
      cpu.syscall(__HYPERVISOR_sched_op, SCHEDOP_yield);
      order.push('masked');
      cpu.store8(guest.shared, 0);
    });
    expect(order).toEqual(['unmasked', 'upcall', 'called', 'masked']);
  });

  it('without a callback crash the domain', async () => {
    const { domain } = await runPv((guest) => {
      guest.mapShared();
      guest.cpu.store8(guest.shared, 1);
      guest.upcalls(true);
      guest.cpu.syscall(__HYPERVISOR_xen_version, 0);
    });
    expect(domain.end?.why).toContain('it has no event callback');
  });
});
