/**
 * Where a PV kernel wants to be entered: its trap table, its callbacks, its stack; and the assists
 * that it asks for.
 * @source arch-x86/xen.h:124 (trap_info), xen/callback.h, xen/xen.h:511 (vm_assist)
 */
import { isCanonical } from '../machine/pte.ts';
import {
  CALLBACKF_mask_events,
  CALLBACKOP_register,
  CALLBACKOP_unregister,
  CALLBACKTYPE_event,
  CALLBACKTYPE_failsafe,
  CALLBACKTYPE_nmi,
  CALLBACKTYPE_syscall,
  CALLBACKTYPE_syscall32,
  CALLBACKTYPE_sysenter,
  CallbackRegister,
  CallbackUnregister,
} from '../protocol/callback.ts';
import { EFAULT, EINVAL, ENOSYS } from '../protocol/errno.ts';
import {
  TrapInfo,
  VMASST_CMD_disable,
  VMASST_CMD_enable,
  VMASST_TYPE_4gb_segments,
  VMASST_TYPE_4gb_segments_notify,
  VMASST_TYPE_architectural_iopl,
  VMASST_TYPE_pae_extended_cr3,
  VMASST_TYPE_runstate_update_flag,
  VMASST_TYPE_writable_pagetables,
} from '../protocol/xen.ts';
import { type Handler, op } from './op.ts';
import type { Callback, XenVcpu } from './xen-vcpu.ts';

const trap = new Uint8Array(TrapInfo.size);
const trapView = new DataView(trap.buffer);

/**
 * set_trap_table(list): entries overlay earlier ones, up to one with address 0; a null list clears
 * all. @errors -EFAULT -EINVAL
 */
export const setTrapTable: Handler = (xen, caller) => {
  const list = caller.arg(0);
  if (list === 0) {
    caller.traps.clear();
    return 0;
  }
  for (let i = 0; ; i++) {
    const va = list + i * TrapInfo.size;
    if (!xen.copyFromGuest(caller, va, trap)) {
      return xen.refuse(caller, EFAULT, 'the trap table is not readable', { va });
    }
    const { vector, flags, cs, address } = TrapInfo.get(trapView);
    if (address === 0) return 0;
    if (!isCanonical(address)) {
      return xen.refuse(caller, EINVAL, 'a trap handler is not at a canonical address', {
        vector,
        address,
      });
    }
    xen.chargeHypercall(caller, xen.machine.costs.hypercallEntry);
    caller.traps.set(vector, { flags, cs: cs | 3, address });
    if ((i & 63) === 63 && xen.checkPreempt(caller)) return 0;
  }
};

/**
 * set_callbacks(event, failsafe, syscall): an address that is not canonical is not taken, and
 * nobody is told.
 */
export const setCallbacks: Handler = (_xen, caller) => {
  const callbacks = [caller.eventCallback, caller.failsafeCallback, caller.syscallCallback];
  for (const [i, callback] of callbacks.entries()) {
    const address = caller.arg(i);
    if (isCanonical(address)) callback.address = address;
  }
  return 0;
};

const callbackOf = (vcpu: XenVcpu, type: number): Callback | undefined => {
  switch (type) {
    case CALLBACKTYPE_event:
      return vcpu.eventCallback;
    case CALLBACKTYPE_failsafe:
      return vcpu.failsafeCallback;
    case CALLBACKTYPE_syscall:
      return vcpu.syscallCallback;
    case CALLBACKTYPE_syscall32:
      return vcpu.syscall32Callback;
    case CALLBACKTYPE_sysenter:
      return vcpu.sysenterCallback;
    case CALLBACKTYPE_nmi:
      return vcpu.nmiCallback;
    default:
      return undefined;
  }
};

/** @errors -ENOSYS for an unknown type, -EINVAL for an address that is not canonical */
const register = op(CallbackRegister, (xen, caller, arg) => {
  const callback = callbackOf(caller, arg.type);
  if (!isCanonical(arg.address)) {
    return xen.refuse(caller, EINVAL, 'a callback is not at a canonical address', {
      type: arg.type,
    });
  }
  if (!callback) return xen.refuse(caller, ENOSYS, 'no such callback type', { type: arg.type });

  callback.address = arg.address;
  callback.maskEvents =
    arg.type === CALLBACKTYPE_event || (arg.flags & CALLBACKF_mask_events) !== 0;
  return 0;
});

/** Only the NMI callback can be taken away. @errors -ENOSYS -EINVAL */
const unregister = op(CallbackUnregister, (xen, caller, arg) => {
  const callback = callbackOf(caller, arg.type);
  if (!callback) return xen.refuse(caller, ENOSYS, 'no such callback type', { type: arg.type });
  if (arg.type !== CALLBACKTYPE_nmi) {
    return xen.refuse(caller, EINVAL, 'only the NMI callback can be taken away', {
      type: arg.type,
    });
  }

  callback.address = 0;
  return 0;
});

/** callback_op(cmd, arg). @errors -ENOSYS for an unknown command */
export const callbackOp: Handler = (xen, caller) => {
  const cmd = caller.argLo(0);
  if (cmd === CALLBACKOP_register) return register(xen, caller, caller.arg(1));
  if (cmd === CALLBACKOP_unregister) return unregister(xen, caller, caller.arg(1));
  return xen.refuse(caller, ENOSYS, 'no such callback_op', { cmd });
};

/** stack_switch(ss, rsp): the stack for entries from user mode. */
export const stackSwitch: Handler = (_xen, caller) => {
  caller.kernelSs = (caller.argLo(0) & 0xffff) | 3;
  caller.kernelSp = caller.arg(1);
  return 0;
};

/** The assists there are. Writable page tables are for machine code: a TypeScript kernel gets the fault. */
const ASSISTS: readonly number[] = [
  VMASST_TYPE_4gb_segments,
  VMASST_TYPE_4gb_segments_notify,
  VMASST_TYPE_pae_extended_cr3,
  VMASST_TYPE_architectural_iopl,
  VMASST_TYPE_runstate_update_flag,
  VMASST_TYPE_writable_pagetables,
];

/**
 * vm_assist(cmd, type). @errors -EINVAL for an assist that is not offered, -ENOSYS for an unknown
 * command
 */
export const vmAssist: Handler = (xen, caller) => {
  const cmd = caller.argLo(0);
  const type = caller.argLo(1);
  if (!ASSISTS.includes(type)) return xen.refuse(caller, EINVAL, 'no such assist', { type });
  if (cmd === VMASST_CMD_enable) caller.domain.vmAssist |= 1 << type;
  else if (cmd === VMASST_CMD_disable) caller.domain.vmAssist &= ~(1 << type);
  else return xen.refuse(caller, ENOSYS, 'no such vm_assist', { cmd });
  return 0;
};
