/**
 * Where Xen enters a paravirtual kernel: the event upcall, the failsafe, and user system calls.
 * @source xen/callback.h
 */
import { i64n, struct, type TypeOf, u16 } from './layout.ts';

export const CALLBACKOP_register = 0;
export const CALLBACKOP_unregister = 1;

export const CALLBACKTYPE_event = 0;
export const CALLBACKTYPE_failsafe = 1;
export const CALLBACKTYPE_syscall = 2;
export const CALLBACKTYPE_sysenter_deprecated = 3;
export const CALLBACKTYPE_nmi = 4;
export const CALLBACKTYPE_sysenter = 5;
export const CALLBACKTYPE_syscall32 = 7;

/** Mask events on entry to the callback. */
export const CALLBACKF_mask_events = 1;

export const CallbackRegister = struct('callback_register', {
  type: u16, // CALLBACKTYPE_*
  flags: u16, // CALLBACKF_*
  address: i64n,
});
export type CallbackRegister = TypeOf<typeof CallbackRegister>;

export const CallbackUnregister = struct(
  'callback_unregister',
  { type: u16, unused: u16 },
  { unused: '_unused' },
);
export type CallbackUnregister = TypeOf<typeof CallbackUnregister>;
