/**
 * What a kernel wants done about faults and system calls; the back ends' stubs call it with real
 * frames on the stack.
 */

import { ENOSYS } from '../protocol/errno.ts';
import { KernelFault } from './errors.ts';
import type { Fault, FaultHandler, SyscallHandler, Traps } from './kernel.ts';

export class TrapHandlers implements Traps {
  /** Called by the stub of each exception. */
  fault: FaultHandler = unhandled;
  /** Called by the stub of a system call. */
  syscall: SyscallHandler = () => -ENOSYS;

  onFault(handler: FaultHandler): () => void {
    const earlier = this.fault;
    this.fault = handler;
    return () => {
      this.fault = earlier;
    };
  }

  onSyscall(handler: SyscallHandler): void {
    this.syscall = handler;
  }
}

const unhandled = (fault: Fault): never => {
  throw new KernelFault(fault);
};
