/**
 * Where Xen enters this kernel: exceptions, the event upcall, system calls of user code. Each stub
 * reads the frame that Xen pushed, calls the handler, and returns by the iret hypercall, whose
 * frame overlaps the one it got.
 * @source arch-x86/xen-x86_64.h (iret_context), arch-x86/xen.h (trap_info)
 */
import type { Cpu } from '../../machine/cpu.ts';
import { CALLBACKTYPE_event, CALLBACKTYPE_syscall } from '../../protocol/callback.ts';
import { __HYPERVISOR_iret } from '../../protocol/hypercalls.ts';
import { ArchVcpuInfo, VcpuInfo } from '../../protocol/shared-info.ts';
import { VGCF_in_syscall } from '../../protocol/vcpu-context.ts';
import {
  hasErrorCode,
  R8,
  R9,
  R10,
  RAX,
  RDI,
  RDX,
  RSI,
  RSP,
  SYS_EXIT,
  VECTOR_PF,
} from '../layout.ts';
import type { TrapHandlers } from '../traps.ts';
import type { Trap, Xen } from '../xen.ts';
import type { PvUserMode } from './user-mode.ts';

const VECTORS = [0, 1, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 16, 17, 19];
const VECTOR_BP = 3;
/** The iret frame has four words below RIP: RAX, R11, RCX, flags. */
const BELOW_RIP = 32;

export interface PvEntries {
  readonly handlers: TrapHandlers;
  readonly user: PvUserMode;
  /** The event upcall's work. */
  readonly upcall: () => void;
  readonly panic: (why: string, error: unknown) => void;
}

export class PvTraps {
  readonly #cpu: Cpu;
  readonly #xen: Xen;
  readonly #entries: PvEntries;
  readonly #cr2: number;

  /** Registers every stub with Xen. */
  constructor(xen: Xen, sharedInfo: number, entries: PvEntries) {
    this.#cpu = xen.cpu;
    this.#xen = xen;
    this.#entries = entries;
    this.#cr2 = sharedInfo + VcpuInfo.offset.arch + ArchVcpuInfo.offset.cr2;
    const traps: Trap[] = VECTORS.map((vector) => ({
      vector,
      address: xen.cpu.entry(() => this.#fault(vector)),
      dpl: vector === VECTOR_BP ? 3 : 0,
    }));
    xen.setTrapTable(traps);
    xen.registerCallback(
      CALLBACKTYPE_event,
      xen.cpu.entry(() => this.#upcall()),
    );
    xen.registerCallback(
      CALLBACKTYPE_syscall,
      xen.cpu.entry(() => this.#syscall()),
    );
  }

  #fault(vector: number): void {
    const cpu = this.#cpu;
    const sp = cpu.reg(RSP);
    const rax = cpu.reg(RAX);
    const rcx = cpu.loadNumber(sp);
    const r11 = cpu.loadNumber(sp + 8);
    const coded = hasErrorCode(vector);
    const rip = sp + (coded ? 24 : 16);
    const fault = {
      vector,
      error: coded ? cpu.load32(sp + 16) : 0,
      address: vector === VECTOR_PF ? cpu.loadNumber(this.#cr2) : 0,
      rip: cpu.loadNumber(rip),
      user: (cpu.load16(rip + 8) & 3) !== 0,
    };
    this.#xen.arguments.enter();
    try {
      this.#entries.handlers.fault(fault);
    } finally {
      this.#xen.arguments.leave();
      const frame = rip - BELOW_RIP;
      cpu.storeNumber(frame, rax);
      cpu.storeNumber(frame + 8, r11);
      cpu.storeNumber(frame + 16, rcx);
      cpu.storeNumber(frame + 24, 0);
      cpu.setReg(RSP, frame);
      cpu.syscall(__HYPERVISOR_iret);
    }
  }

  #upcall(): void {
    const cpu = this.#cpu;
    const sp = cpu.reg(RSP);
    const rax = cpu.reg(RAX);
    const r11 = cpu.loadNumber(sp + 8);
    this.#xen.arguments.enter();
    try {
      this.#entries.upcall();
    } catch (error) {
      this.#entries.panic('an event handler', error);
    } finally {
      this.#xen.arguments.leave();
      // RCX lies where the iret frame wants it: at sp.
      const frame = sp + 16 - BELOW_RIP;
      cpu.storeNumber(frame, rax);
      cpu.storeNumber(frame + 8, r11);
      cpu.storeNumber(frame + 24, 0);
      cpu.setReg(RSP, frame);
      cpu.syscall(__HYPERVISOR_iret);
    }
  }

  #syscall(): void {
    const cpu = this.#cpu;
    const nr = cpu.reg(RAX);
    if (nr === SYS_EXIT) {
      this.#entries.user.exit();
      return;
    }
    const sp = cpu.reg(RSP);
    const [a1, a2, a3] = [cpu.reg(RDI), cpu.reg(RSI), cpu.reg(RDX)];
    const [a4, a5, a6] = [cpu.reg(R10), cpu.reg(R8), cpu.reg(R9)];
    let result = 0;
    this.#xen.arguments.enter();
    try {
      result = this.#entries.handlers.syscall(nr, a1, a2, a3, a4, a5, a6);
    } finally {
      this.#xen.arguments.leave();
      // A SYSCALL return: RCX and R11 need not be restored.
      const frame = sp + 16 - BELOW_RIP;
      cpu.storeNumber(frame, result);
      cpu.storeNumber(frame + 24, VGCF_in_syscall);
      cpu.setReg(RSP, frame);
      cpu.syscall(__HYPERVISOR_iret);
    }
  }
}
