/**
 * The wrapper around a sub-operation with one argument struct: copy in, act on the private copy,
 * copy the OUT fields back on success. So a handler never sees a guest address, and -EFAULT is
 * decided here.
 */
import { EFAULT } from '../protocol/errno.ts';
import type { AnyStruct, TypeOf } from '../protocol/layout.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/**
 * Handles one hypercall: arguments are in the caller's registers; returns the value for RAX (a
 * negative errno on failure).
 */
export type Handler = (xen: Hypervisor, caller: XenVcpu) => number;

/** Handles one sub-operation whose argument lies at guest address `va`. */
export type SubOp = (xen: Hypervisor, caller: XenVcpu, va: number) => number;

/** @errors -EFAULT when the argument cannot be read, or its results not be written. */
export const op = <S extends AnyStruct>(
  struct: S,
  act: (xen: Hypervisor, caller: XenVcpu, arg: TypeOf<S>) => number,
): SubOp => {
  const bytes = new Uint8Array(struct.size);
  const view = new DataView(bytes.buffer);
  return (xen, caller, va) => {
    if (!xen.copyFromGuest(caller, va, bytes)) {
      return xen.refuse(caller, EFAULT, `${struct.name} is not readable`, { va });
    }
    const arg = struct.get(view, 0) as TypeOf<S>;
    const result = act(xen, caller, arg);
    if (result < 0 || struct.outs.length === 0) return result;

    struct.setOuts(view, 0, arg);
    if (xen.copyToGuest(caller, va, bytes)) return result;
    return xen.refuse(caller, EFAULT, `${struct.name} is not writable`, { va });
  };
};
